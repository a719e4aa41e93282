//! The mail view: the outbox, and the text of the selected mail with the server's answer.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::{
    pen::{Pen, small},
    words,
};
use crate::{
    fleet::history::{MailRow, MailStatus},
    tui::{model::Model, theme::Role, view::Tab},
};

/// List above, text below; the text alone where it is opened.
pub(super) fn page(pen: &mut Pen<'_>, model: &Model, area: Rect) {
    let mails = model.mails.as_deref().unwrap_or_default();
    let selected = mails.get(model.view.mail);
    if model.view.detail_open {
        if let Some(mail) = selected {
            text(pen, mail, area, model.view.mail_top, model.now);
        }
        return;
    }
    let list_height = if area.height >= 14 { area.height * 2 / 5 } else { area.height };
    list(pen, model, mails, Rect { height: list_height, ..area });
    if let Some(mail) = selected
        && list_height < area.height
    {
        let place = Rect { y: area.y + list_height, height: area.height - list_height, ..area };
        text(pen, mail, place, model.view.mail_top, model.now);
    }
}

fn list(pen: &mut Pen<'_>, model: &Model, mails: &[MailRow], area: Rect) {
    let (strong, dim, accent) = (pen.style(Role::Strong), pen.style(Role::Dim), pen.style(Role::Accent));
    let waiting = mails.iter().filter(|mail| matches!(mail.status, MailStatus::Waiting { .. })).count();
    let refused = mails.iter().filter(|mail| mail.status == MailStatus::Refused).count();
    let count = format!(" {} · {waiting} waiting · {refused} refused", mails.len());
    pen.view_title(area, &[("Mails", strong), (&count, dim)], Tab::Mails);
    let rows = area.height.saturating_sub(1);
    let first = (model.view.mail + 1).saturating_sub(usize::from(rows.max(1)));
    for (index, mail) in mails.iter().enumerate().skip(first).take(usize::from(rows)) {
        let place = Rect { y: area.y + 1 + small(index - first), height: 1, ..area };
        if index == model.view.mail {
            pen.tint(place, pen.look().selection());
            pen.text(place.x, place.y, 1, pen.glyphs().selected, accent);
        }
        let (glyph, word, role) = match mail.status {
            MailStatus::Waiting { .. } => (pen.glyphs().between, "waiting", Role::Warning),
            MailStatus::Sent { .. } => (pen.glyphs().ended, "sent", Role::Good),
            MailStatus::Refused => ("!", "refused", Role::Bad),
        };
        let wide = area.width >= 100;
        let mut x = place.x + 1;
        for (width, piece, role) in [
            (9, words::time_or_date(mail.created_at, model.now).as_str(), Role::Dim),
            (10, &format!("{glyph} {word}"), role),
            (if wide { 10 } else { 0 }, mail.kind.word(), Role::Dim),
            (if wide { 28 } else { 20 }, &mail.recipient, Role::Text),
            (u16::MAX, &mail.subject, Role::Text),
        ] {
            if width > 0 {
                let room = place.right().saturating_sub(x);
                pen.text(x, place.y, width.min(room.saturating_add(1)).saturating_sub(1), piece, pen.style(role));
                x = x.saturating_add(width);
            }
        }
    }
    if mails.is_empty() && rows > 0 {
        let said = if model.mails.is_some() { "no mail was decided yet" } else { "asking the database" };
        pen.text(area.x + 1, area.y + 1, area.width, said, dim);
    }
}

fn text(pen: &mut Pen<'_>, mail: &MailRow, area: Rect, top: usize, now: Timestamp) {
    let (strong, dim) = (pen.style(Role::Strong), pen.style(Role::Dim));
    let tries = match mail.attempts {
        0 => "not tried yet".to_owned(),
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    };
    pen.title(area, &[("Mail", strong), (&format!(" to {}", mail.recipient), dim)], &[(&tries, dim)]);
    let answer = mail.answer.as_deref().unwrap_or("none yet");
    let fate = match mail.status {
        MailStatus::Waiting { next_at } => {
            let left = next_at.as_second().saturating_sub(now.as_second());
            format!("waits, next try in {}", words::clock_span(u64::try_from(left).unwrap_or(0)))
        }
        MailStatus::Sent { at } => format!("sent {}", at.strftime("%F %H:%M:%SZ")),
        MailStatus::Refused => "refused for good".to_owned(),
    };
    let mut lines = vec![
        (format!("decided  {}", mail.created_at.strftime("%F %H:%M:%SZ")), dim),
        (format!("outcome  {fate}"), dim),
        (format!("answer   {answer}"), dim),
        (format!("subject  {}", mail.subject), strong),
    ];
    let attached = mail.attachments.iter().map(|file| (format!("attached {} ({})", file.file_name, file.size), dim));
    lines.extend(attached);
    lines.push((String::new(), dim));
    lines.extend(mail.body.lines().map(|line| (line.to_owned(), pen.style(Role::Text))));
    for (y, (line, style)) in (area.y + 1..area.bottom()).zip(lines.iter().skip(top)) {
        pen.text(area.x + 1, y, area.width.saturating_sub(2), line, *style);
    }
}
