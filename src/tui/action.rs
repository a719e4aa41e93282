//! The names of what the operator can do. What is known of each is in [`super::actions`].

every! {
    /// Everything the operator can do.
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
        /// Details of the selected row.
        Open,
        /// Out of what is open: overlay, details, marks, filter.
        Back,
        /// To the next failed client.
        NextFailure,
        /// To the failed client before.
        PreviousFailure,
        /// Type a filter.
        Filter,
        /// To the next client that meets the last filter.
        SearchNext,
        /// To the one before.
        SearchPrevious,
        /// The next sort key.
        Sort,
        /// The sort key of the column to the left.
        SortLeft,
        /// The sort key of the column to the right.
        SortRight,
        /// The sort the other way round.
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
        /// Freeze or thaw the screen.
        Freeze,
        /// The sweep before.
        Earlier,
        /// The sweep after.
        Later,
        /// Ten sweeps before.
        FarEarlier,
        /// Ten sweeps after.
        FarLater,
        /// The oldest sweep.
        Oldest,
        /// The sweep of a time that is typed.
        GoTo,
        /// Back to live; there already: to the last row.
        Live,
        /// A recording: faster.
        Faster,
        /// A recording: slower.
        Slower,
        /// Sweep here, where the collector has gone.
        TakeOver,
        /// Copy what is selected.
        Copy,
        /// Copy the command that logs in to the client.
        CopySsh,
        /// Export what is shown.
        Export,
        /// The mouse on or off.
        Mouse,
        /// The palette.
        Palette,
        /// The help.
        Help,
        /// The colours of the other background.
        Theme,
        /// Draw anew.
        Redraw,
        /// Suspend the program, as Ctrl-Z does.
        Suspend,
        /// Quit, with a question if a sweep is running.
        Quit,
        /// Quit without a question.
        QuitNow,
    }
}
