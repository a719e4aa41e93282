//! The mail view: the outbox, and the text of the selected mail with the server's reply.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::{
    canvas::{Canvas, small},
    list::{self, Listing, Space},
};
use crate::{
    fleet::history::{MailRow, MailStatus},
    tui::{
        columns::{Context, mails::COLUMNS},
        format,
        model::Model,
        text::{BALANCED, columns_of, cut_name},
        theme::Role,
        view::Tab,
    },
};

/// The list above and the text below; only the text if it is opened.
pub(super) fn page(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let mails: Vec<&MailRow> = model.mails_found().collect();
    let selected = model.selected_mail();
    if model.view.detail_open {
        if let Some(mail) = selected {
            text(canvas, mail, area, model.view.mail_top, model.now);
        }
        return;
    }
    let list_height = if area.height >= 14 { area.height * 2 / 5 } else { area.height };
    outbox(canvas, model, &mails, Rect { height: list_height, ..area });
    if let Some(mail) = selected
        && list_height < area.height
    {
        let place = Rect { y: area.y + list_height, height: area.height - list_height, ..area };
        text(canvas, mail, place, model.view.mail_top, model.now);
    }
}

fn outbox(canvas: &mut Canvas<'_>, model: &Model, mails: &[&MailRow], area: Rect) {
    let (strong, dim) = (canvas.style(Role::Strong), canvas.style(Role::Dim));
    let (waiting, refused) = model.mail_counts;
    let (waiting, refused) = (format::grouped(waiting), format::grouped(refused));
    let filter = &model.view.mail_filter;
    let count = if model.mails.rows().is_none() {
        String::new()
    } else if filter.text.is_empty() {
        format!(" {} · {waiting} waiting · {refused} refused", list::place(&model.mails, model.view.mail))
    } else {
        format!(" {} · filter: {}", list::filtered(&model.mails, mails.len()), filter.text)
    };
    canvas.view_title(area, &[("Mails", strong), (&count, dim)], Tab::Mails);
    let areas = list::Areas::of(area);
    let first = list::first(model.view.mail, areas.rows.height);
    let visible = mails.get(first..).unwrap_or_default();
    let visible = visible.get(..usize::from(areas.rows.height)).unwrap_or(visible);
    // Mails are always those of the present, even in time travel.
    let items = visible.iter().map(|mail| (*mail, Context { now: model.now, ..model.context(canvas.look()) }));
    let listing = Listing::of(&COLUMNS, items, Space { width: area.width, ..Space::default() });
    if let Some(heading) = areas.heading {
        listing.heading(canvas, heading, None);
    }
    for index in 0..visible.len() {
        let place = Rect { y: areas.rows.y + small(index), height: 1, ..areas.rows };
        if first + index == model.view.mail {
            list::select(canvas, place);
        }
        listing.row(canvas, index, place);
    }
    if mails.is_empty() && areas.rows.height > 0 {
        let (text, style) = match (model.mails.rows(), model.mails.failed()) {
            _ if model.is_replay() => ("Mails are not part of a recording.".to_owned(), dim),
            (None, Some(why)) => (format!("failed: {why}"), canvas.style(Role::Bad)),
            (None, None) => (format::asking(canvas.look().unicode).to_owned(), dim),
            (Some([]), _) => ("No mails yet.".to_owned(), dim),
            (Some(_), _) => (list::nothing_found(&model.mails, "mail"), dim),
        };
        canvas.text(area.x + 1, areas.rows.y, area.width, &text, style);
    }
}

fn text(canvas: &mut Canvas<'_>, mail: &MailRow, area: Rect, top: usize, now: Timestamp) {
    let (strong, dim) = (canvas.style(Role::Strong), canvas.style(Role::Dim));
    let tries = match mail.attempts {
        0 => "not tried yet".to_owned(),
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    let room = area.width.saturating_sub(columns_of(&tries) + 15);
    let recipient = cut_name(&mail.recipient, room.max(6), BALANCED, canvas.glyphs().more);
    canvas.title(area, &[("Mail", strong), (&format!(" to {recipient}"), dim)], &[(&tries, dim)]);
    let answer = mail.answer.as_deref().unwrap_or("none yet");
    let status = match mail.status {
        MailStatus::Waiting { next_at } => {
            let left = next_at.as_second().saturating_sub(now.as_second());
            format!("waiting, next attempt in {}", format::clock_span(u64::try_from(left).unwrap_or(0)))
        }
        MailStatus::Sent { at } => format!("sent {}", at.strftime("%F %H:%M:%SZ")),
        MailStatus::Refused => "refused, will not be retried".to_owned(),
    };
    let mut lines = vec![
        (format!("queued   {}", mail.created_at.strftime("%F %H:%M:%SZ")), dim),
        (format!("status   {status}"), dim),
        (format!("answer   {answer}"), dim),
        (format!("subject  {}", mail.subject), strong),
    ];
    let attached = mail.attachments.iter().map(|file| (format!("attached {} ({})", file.file_name, file.size), dim));
    lines.extend(attached);
    lines.push((String::new(), dim));
    lines.extend(mail.body.lines().map(|line| (line.to_owned(), canvas.style(Role::Text))));
    for (y, (line, style)) in (area.y + 1..area.bottom()).zip(lines.iter().skip(top)) {
        canvas.text(area.x + 1, y, area.width.saturating_sub(2), line, *style);
    }
}
