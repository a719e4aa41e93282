//! The names of the operator's actions. Their properties are in [`super::actions`].

every! {
    /// All actions of the operator.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Action {
        /// One row up.
        Up,
        /// One row down.
        Down,
        /// One page up.
        PageUp,
        /// One page down.
        PageDown,
        /// To the first row.
        First,
        /// To the last row.
        Last,
        /// The focus to the next pane.
        NextPane,
        /// The focus to the pane before.
        PreviousPane,
        /// The fleet.
        ViewFleet,
        /// The alert history.
        ViewAlerts,
        /// The outbox.
        ViewMails,
        /// The log.
        ViewLog,
        /// Open the details of the selected row.
        Open,
        /// Leave the innermost open thing: overlay, details, marks, filter.
        Back,
        /// To the next failed client.
        NextFailure,
        /// To the failed client before.
        PreviousFailure,
        /// Type a filter.
        Filter,
        /// To the next client that matches the last filter.
        SearchNext,
        /// To the previous client that matches the last filter.
        SearchPrevious,
        /// The next sort key.
        Sort,
        /// The sort key of the column to the left.
        SortLeft,
        /// The sort key of the column to the right.
        SortRight,
        /// Reverse the sort order.
        SortReverse,
        /// Mark or unmark the selected client.
        Mark,
        /// Mark all listed clients.
        MarkAll,
        /// The next span of the charts.
        Span,
        /// Collect selected or marked clients.
        Collect,
        /// Collect all failed clients.
        CollectFailed,
        /// Collect all clients.
        CollectAll,
        /// Cancel the selected client's collection.
        Cancel,
        /// Pause or resume the schedule.
        Pause,
        /// Acknowledge an alert.
        Acknowledge,
        /// Withdraw an acknowledgement.
        Unacknowledge,
        /// Freeze or unfreeze the screen.
        Freeze,
        /// The previous sweep.
        Earlier,
        /// The next sweep.
        Later,
        /// Ten sweeps back.
        FarEarlier,
        /// Ten sweeps forward.
        FarLater,
        /// The oldest sweep.
        Oldest,
        /// The sweep at a typed time.
        GoTo,
        /// Back to the present; if the present is shown, to the last row.
        Live,
        /// Play a recording faster.
        Faster,
        /// Play a recording slower.
        Slower,
        /// Become the collector after the old one has gone.
        TakeOver,
        /// Copy the selection.
        Copy,
        /// Copy the command that logs in to the client.
        CopySsh,
        /// Export what is shown.
        Export,
        /// Turn the mouse on or off.
        Mouse,
        /// The palette.
        Palette,
        /// The help.
        Help,
        /// Switch between the themes for dark and light backgrounds.
        Theme,
        /// Redraw the screen.
        Redraw,
        /// Suspend the program, like Ctrl-Z.
        Suspend,
        /// Quit, with a question if a sweep is running.
        Quit,
        /// Quit without a question.
        QuitNow,
    }
}
