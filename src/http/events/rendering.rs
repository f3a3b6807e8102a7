//! One rendering of the page for all subscribers, and the events that update each subscriber to this rendering.

use crate::dialect::html::PageParts;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

/// The most bytes of an event, unless a single part is larger. While its client does not read, a subscriber holds one event.
const MAX_EVENT_BYTES: usize = 16 * 1024;

/// The parts of a page at one time.
#[derive(Debug)]
pub(super) struct PageRendering {
    /// Renderings of a feed are numbered from 1.
    number: u64,
    layout: RenderedPart,
    parts: BTreeMap<Arc<str>, RenderedPart>,
    /// Events by the position of the subscribers that share them, with the position after each.
    events: Mutex<BTreeMap<Position, (Bytes, Position)>>,
}

#[derive(Clone, Debug)]
struct RenderedPart {
    html: Arc<str>,
    /// The number of the rendering in which it last changed.
    changed: u64,
}

/// What a subscriber knows of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Every part is known as it was in the rendering of this number, or later.
    known: u64,
    /// The layout is known as it was in this one.
    layout: u64,
    /// A pass through all parts that is not complete: the rendering in which it began, and the last part that was sent.
    pass: Option<(u64, Arc<str>)>,
}

/// How a rendering differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    None,
    /// Only the pollers differ, which poll all the time.
    PollersOnly,
    /// The number of new bytes of HTML.
    Bytes(usize),
}

impl PageRendering {
    /// The rendering that follows `previous`. Parts that have not changed are shared with it.
    pub(super) fn after(previous: Option<&Self>, parts: PageParts) -> (Self, Difference) {
        let number = previous.map_or(1, |previous| previous.number + 1);
        let (mut bytes, mut only_pollers) = (0, true);
        let mut part = |id: &str, html: String, known: Option<&RenderedPart>| {
            if let Some(known) = known.filter(|known| *known.html == html) {
                return known.clone();
            }
            bytes += html.len();
            only_pollers &= id == PageParts::POLLERS;
            RenderedPart { html: html.into(), changed: number }
        };
        // If a part was removed, the layout has changed, too.
        let layout = part("page", parts.layout, previous.map(|previous| &previous.layout));
        let parts = parts.parts.into_iter().map(|(id, html)| {
            let known = previous.and_then(|previous| previous.parts.get_key_value(&*id));
            let part = part(&id, html, known.map(|(_, part)| part));
            (known.map_or_else(|| id.into(), |(id, _)| Arc::clone(id)), part)
        });
        let parts = parts.collect();
        let difference = match bytes {
            0 => Difference::None,
            _ if only_pollers => Difference::PollersOnly,
            _ => Difference::Bytes(bytes),
        };
        (Self { number, layout, parts, events: Mutex::default() }, difference)
    }

    /// The data of the next event for a subscriber at this position; `None` if it is up to date.
    pub(super) fn next_event(&self, position: &mut Position) -> Option<Bytes> {
        if position.known == self.number && position.pass.is_none() {
            return None;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((event, next)) = events.get(position) {
            *position = next.clone();
            return Some(event.clone());
        }
        let before = position.clone();
        let event = self.make_event(position)?;
        // Subscribers that read at the same pace share positions. The bound keeps all events together about as large as the page.
        if events.len() <= self.parts.len() {
            events.insert(before, (event.clone(), position.clone()));
        }
        Some(event)
    }

    fn make_event(&self, position: &mut Position) -> Option<Bytes> {
        const HEAD: &str = "data: ";
        let mut event = HEAD.to_owned();
        if position.layout < self.layout.changed {
            event.push_str(&self.layout.html);
        }
        position.layout = self.number;
        // First the incomplete pass, then one more for the parts that have changed behind it.
        while position.known < self.number {
            let (began, mut last) = position.pass.take().map_or((self.number, None), |(began, last)| (began, Some(last)));
            let after = last.clone().map_or(Bound::Unbounded, Bound::Excluded);
            for (id, part) in self.parts.range((after, Bound::Unbounded)).filter(|(_, part)| part.changed > position.known) {
                if event.len() > HEAD.len() && event.len() + part.html.len() > MAX_EVENT_BYTES {
                    position.pass = Some((began, last.unwrap_or_default()));
                    event.push_str("\n\n");
                    return Some(event.into());
                }
                event.push_str(&part.html);
                last = Some(Arc::clone(id));
            }
            position.known = began;
        }
        event.push_str("\n\n");
        (event.len() > HEAD.len() + 2).then(|| event.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(layout: &str, parts: impl IntoIterator<Item = (String, String)>) -> PageParts {
        PageParts { layout: layout.to_owned(), parts: parts.into_iter().collect() }
    }

    fn numbered(count: usize, html: impl Fn(usize) -> String) -> PageParts {
        parts("<layout>", (0..count).map(|number| (format!("c-{number:03}"), html(number))))
    }

    fn next(rendering: &PageRendering, position: &mut Position) -> Option<String> {
        rendering.next_event(position).map(|event| String::from_utf8(event.to_vec()).expect("text"))
    }

    #[test]
    fn the_first_event_is_the_whole_page_and_the_next_what_has_changed() {
        let (first, difference) = PageRendering::after(None, numbered(3, |number| format!("<{number}>")));
        assert_eq!(difference, Difference::Bytes(8 + 3 * 3));
        let mut position = Position::default();
        assert_eq!(next(&first, &mut position).as_deref(), Some("data: <layout><0><1><2>\n\n"));
        assert_eq!(next(&first, &mut position), None);
        let (second, difference) = PageRendering::after(Some(&first), numbered(3, |number| format!("<{}>", number.max(1))));
        assert_eq!(difference, Difference::Bytes(3));
        assert_eq!(next(&second, &mut position).as_deref(), Some("data: <1>\n\n"));
        assert_eq!(next(&second, &mut position), None);
        let (third, difference) = PageRendering::after(Some(&second), parts("<other>", [("c-000".to_owned(), "<1>".to_owned())]));
        assert_eq!(difference, Difference::Bytes(7));
        assert_eq!(next(&third, &mut position).as_deref(), Some("data: <other>\n\n"));
    }

    #[test]
    fn equal_parts_are_no_difference_and_polls_a_small_one() {
        let with_probers =
            |probers: &str| parts("<layout>", [("probers".to_owned(), probers.to_owned()), ("c-a".to_owned(), "<a>".to_owned())]);
        let (first, _) = PageRendering::after(None, with_probers("<one>"));
        assert_eq!(PageRendering::after(Some(&first), with_probers("<one>")).1, Difference::None);
        assert_eq!(PageRendering::after(Some(&first), with_probers("<two>")).1, Difference::PollersOnly);
    }

    #[test]
    fn subscribers_at_the_same_position_share_an_event() {
        let (rendering, _) = PageRendering::after(None, numbered(3, |number| format!("<{number}>")));
        let (mut one, mut other) = (Position::default(), Position::default());
        let (one, other) = (rendering.next_event(&mut one).expect("an event"), rendering.next_event(&mut other).expect("an event"));
        assert_eq!(one.as_ptr(), other.as_ptr());
    }

    #[test]
    fn a_large_page_comes_in_events_of_limited_size() {
        let (rendering, _) = PageRendering::after(None, numbered(500, |number| format!("<{number:01000}>")));
        let (mut position, mut events) = (Position::default(), Vec::new());
        while let Some(event) = next(&rendering, &mut position) {
            assert!(event.len() <= MAX_EVENT_BYTES + 2, "{}", event.len());
            events.push(event);
        }
        assert!(events.len() < 40, "{}", events.len());
        let all = events.concat().replace("data: ", "").replace("\n\n", "");
        let expected: Vec<String> = (0..500).map(|number| format!("<{number:01000}>")).collect();
        assert_eq!(all, format!("<layout>{}", expected.concat()));
    }

    #[test]
    fn a_subscriber_that_lags_gets_everything_that_it_missed_and_nothing_twice() {
        let mut rendering = PageRendering::after(None, numbered(10, |_| "<0>".to_owned())).0;
        let mut position = Position::default();
        assert!(next(&rendering, &mut position).is_some());
        for round in 1..5 {
            // In each round another two parts have changed since the beginning.
            rendering = PageRendering::after(
                Some(&rendering),
                numbered(10, |number| format!("<{}>", if number < 2 * round { number + 1 } else { 0 })),
            )
            .0;
        }
        assert_eq!(next(&rendering, &mut position).as_deref(), Some("data: <1><2><3><4><5><6><7><8>\n\n"));
        assert_eq!(next(&rendering, &mut position), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A client that replaces each element by its id shows, whenever it has read everything, the last rendering.
        #[test]
        fn whatever_is_read_meanwhile_the_client_ends_with_the_last_rendering(
            rounds in prop::collection::vec((prop::collection::vec(0..4_u8, 1..60), 0..3_usize), 1..12)
        ) {
            let mut rendering: Option<PageRendering> = None;
            let (mut position, mut shown) = (Position::default(), BTreeMap::<String, String>::new());
            let mut read = |rendering: &PageRendering, position: &mut Position, most: usize| {
                for _ in 0..most {
                    let Some(event) = next(rendering, position) else { return };
                    for element in event["data: ".len()..].trim_end().split_terminator('>') {
                        let (id, value) = element[1..].split_once('=').expect("an element");
                        if id == "page" {
                            let ids: Vec<&str> = value.split(',').collect();
                            shown.retain(|id, _| ids.contains(&&**id));
                        } else {
                            shown.insert(id.to_owned(), value.to_owned());
                        }
                    }
                }
            };
            let mut last = BTreeMap::new();
            for (values, most) in rounds {
                last = values.iter().enumerate().map(|(at, value)| (format!("c{at:02}"), value.to_string().repeat(1000))).collect();
                let ids = last.keys().map(String::as_str).collect::<Vec<_>>().join(",");
                let all = last.iter().map(|(id, value)| (id.clone(), format!("<{id}={value}>")));
                let (next, difference) = PageRendering::after(rendering.as_ref(), parts(&format!("<page={ids}>"), all));
                if difference != Difference::None {
                    rendering = Some(next);
                }
                if let Some(rendering) = &rendering {
                    read(rendering, &mut position, most);
                }
            }
            read(rendering.as_ref().expect("a rendering"), &mut position, 1000);
            prop_assert_eq!(shown, last);
        }
    }
}
