//! Names, messages and servers' words are others': what would steer a terminal is shown instead.

use std::borrow::Cow;

use crate::event::Event;

/// The text with control characters and those that turn the direction of writing made visible;
/// lines and tabs stay.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if steers(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// All that an event says.
pub(super) fn event(mut event: Event) -> Event {
    match &mut event {
        Event::Started { title: said, .. }
        | Event::Finished { detail: said, .. }
        | Event::Warning { message: said }
        | Event::Note { message: said } => {
            if let Cow::Owned(clean) = text(said) {
                *said = clean;
            }
            event
        }
        Event::Progress { .. } => event,
        Event::Part { part, said } => {
            let (part, said) = (text(part).into_owned(), self::event((**said).clone()));
            Event::Part { part, said: Box::new(said) }
        }
    }
}

fn steers(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal_and_all_is_said() {
        assert_eq!(
            text("a\u{1b}[2J\rb\u{9b}c\u{202e}d\te\n"),
            "a\\u{1b}[2J\\rb\\u{9b}c\\u{202e}d\te\n"
        );
        assert!(matches!(text("Zürich — 東京\n"), Cow::Borrowed(_)));
        let bell = |message: &str| Event::Warning { message: message.into() };
        let part = |part: &str, said| Event::Part { part: part.into(), said: Box::new(said) };
        let said = event(part("n\u{7}", part("m\u{7}", bell("b\u{7}"))));
        assert_eq!(said, part("n\\u{7}", part("m\\u{7}", bell("b\\u{7}"))));
    }
}
