//! The names of exchanges, channels, lists and bindings, as kombu derives them from the app's settings.
//!
//! Source: `kombu/transport/redis.py`, `Channel`; for the exchanges `kombu/pidbox.py` and `celery/events/event.py`.

use crate::contract::{ConfigWarning, InvalidConfig};
use std::collections::BTreeSet;

/// The settings of the app on which names depend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamingKeys {
    pub(super) control_exchange: String,
    pub(super) event_exchange: String,
    pub(super) separator: String,
    pub(super) priority_steps: Vec<u8>,
    pub(super) global_keyprefix: String,
    pub(super) fanout_prefix: String,
    pub(super) fanout_patterns: bool,
}

impl Default for NamingKeys {
    fn default() -> Self {
        Self {
            control_exchange: "celery".to_owned(),
            event_exchange: "celeryev".to_owned(),
            separator: "\u{6}\u{16}".to_owned(),
            priority_steps: vec![0, 3, 6, 9],
            global_keyprefix: String::new(),
            fanout_prefix: "/{db}.".to_owned(),
            fanout_patterns: true,
        }
    }
}

impl NamingKeys {
    /// Rejects values with which kombu itself does not work.
    pub(super) fn validate(&self) -> Result<(), InvalidConfig> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let prefix = &self.fanout_prefix;
        if self.separator.bytes().all(is_plain) {
            return Err(InvalidConfig::new(
                "separator",
                "must have a character other than a-z and 0-9: kombu would split the names of queues at it",
            ));
        }
        if self.priority_steps.is_empty() {
            return Err(InvalidConfig::new("priority_steps", "names no priority: kombu's default is [0, 3, 6, 9]"));
        }
        // kombu cuts the prefix of a channel behind its first dot.
        let is_cut_right = prefix.starts_with('/') && prefix.find('.') == Some(prefix.len() - 1);
        if !prefix.is_empty() && !is_cut_right {
            return Err(InvalidConfig::new(
                "fanout_prefix",
                "must begin with `/` and end with its only `.`, as kombu requires; `\"\"` means no prefix",
            ));
        }
        for (key, name) in [("control_exchange", &self.control_exchange), ("event_exchange", &self.event_exchange)] {
            if name.is_empty() {
                return Err(InvalidConfig::new(key, "must not be empty"));
            }
        }
        Ok(())
    }

    /// Warns about keys that have no effect with `RabbitMQ`.
    pub(super) fn warnings_for_rabbitmq(&self) -> Vec<ConfigWarning> {
        let default = Self::default();
        let changed = [
            ("separator", self.separator != default.separator),
            ("priority_steps", self.priority_steps != default.priority_steps),
            ("global_keyprefix", self.global_keyprefix != default.global_keyprefix),
            ("fanout_prefix", self.fanout_prefix != default.fanout_prefix),
            ("fanout_patterns", self.fanout_patterns != default.fanout_patterns),
        ];
        let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
        changed.map(|(key, _)| ConfigWarning::new(key, "has no effect with RabbitMQ: it is an option of kombu's Redis transport")).collect()
    }

    /// The exchange on which workers receive commands.
    pub(super) fn command_exchange(&self) -> String {
        format!("{}.pidbox", self.control_exchange)
    }

    /// The channel on which workers receive commands.
    pub(super) fn command_channel(&self, database: i64) -> String {
        format!("{}{}", self.channel_prefix(database), self.command_exchange())
    }

    /// The pattern of the channels to which workers send events about themselves.
    pub(super) fn event_pattern(&self, database: i64) -> String {
        let exchange = escaped(&format!("{}{}", self.channel_prefix(database), self.event_exchange));
        if self.fanout_patterns { format!("{exchange}/worker.*") } else { exchange }
    }

    /// All databases of a Redis server share its channels. `{db}` is as in Python's `str.format`.
    fn channel_prefix(&self, database: i64) -> String {
        let fanout_prefix = self.fanout_prefix.split("{{").map(|part| part.replace("{db}", &database.to_string()));
        let fanout_prefix = fanout_prefix.collect::<Vec<_>>().join("{").replace("}}", "}");
        format!("{}{fanout_prefix}", self.global_keyprefix)
    }

    /// The list for messages without a priority.
    pub(super) fn list(&self, queue: &str) -> String {
        self.list_for(queue, 0)
    }

    /// The lists of a queue, one for each priority.
    pub(super) fn lists(&self, queue: &str) -> BTreeSet<String> {
        self.priority_steps.iter().map(|priority| self.list_for(queue, *priority)).collect()
    }

    /// The list for a priority: that of the last step that is not above it, or of the last step if all are.
    fn list_for(&self, queue: &str, priority: u8) -> String {
        let steps = &self.priority_steps;
        let above = steps.partition_point(|step| *step <= priority);
        let step = above.checked_sub(1).map_or_else(|| steps.last(), |at| steps.get(at)).copied().unwrap_or_default();
        let suffix = if step == 0 { String::new() } else { format!("{}{step}", self.separator) };
        format!("{}{queue}{suffix}", self.global_keyprefix)
    }

    /// The set of the queues that are bound to an exchange.
    pub(super) fn bindings(&self, exchange: &str) -> String {
        format!("{}_kombu.binding.{exchange}", self.global_keyprefix)
    }

    /// A member of that set.
    pub(super) fn binding(&self, routing_key: &str, queue: &str) -> String {
        [routing_key, "", queue].join(&self.separator)
    }

    /// Whether workers that bound these mailboxes use another separator: each binding has an empty routing key and an empty pattern.
    pub(super) fn contradicts(&self, mailboxes: &[Vec<u8>]) -> bool {
        let start = self.binding("", "");
        !mailboxes.is_empty() && !mailboxes.iter().any(|mailbox| mailbox.starts_with(start.as_bytes()))
    }

    /// A name for a queue of our own, in which the separator does not occur.
    pub(super) fn own_queue(&self, id: &str) -> String {
        let mark = if self.separator.contains('.') { ':' } else { '.' };
        format!("allswell{mark}{id}")
    }
}

/// A name in which no character has a meaning in a pattern of Redis.
fn escaped(name: &str) -> String {
    name.chars().fold(String::new(), |escaped, character| {
        let mark = if "*?[]\\".contains(character) { "\\" } else { "" };
        escaped + mark + character.encode_utf8(&mut [0; 4])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kombu() {
        let names = NamingKeys::default();
        assert_eq!(names.command_channel(3), "/3.celery.pidbox");
        assert_eq!(names.event_pattern(0), "/0.celeryev/worker.*");
        assert_eq!(names.bindings("celery.pidbox"), "_kombu.binding.celery.pidbox");
        assert_eq!(names.binding("reply", "mails"), "reply\u{6}\u{16}\u{6}\u{16}mails");
        assert_eq!(
            names.lists("mails").into_iter().collect::<Vec<_>>(),
            ["mails", "mails\u{6}\u{16}3", "mails\u{6}\u{16}6", "mails\u{6}\u{16}9"]
        );
        let names = NamingKeys {
            control_exchange: "orders".to_owned(),
            event_exchange: "ordersev".to_owned(),
            separator: ":".to_owned(),
            priority_steps: vec![1, 5],
            global_keyprefix: "[app]".to_owned(),
            fanout_prefix: "/{{db}}x{db}.".to_owned(),
            fanout_patterns: false,
        };
        assert_eq!(names.command_channel(3), "[app]/{db}x3.orders.pidbox");
        assert_eq!(names.event_pattern(0), "\\[app\\]/{db}x0.ordersev");
        assert_eq!(names.lists("mails").into_iter().collect::<Vec<_>>(), ["[app]mails:1", "[app]mails:5"]);
        // As in Python, where the index before the first is the last.
        assert_eq!(names.list("mails"), "[app]mails:5");
        assert_eq!(names.binding("reply", "mails"), "reply::mails");
        assert!(names.validate().is_ok());
    }

    #[test]
    fn another_separator_is_seen_in_the_bindings_of_mailboxes() {
        let names = NamingKeys::default();
        let bound = |texts: &[&str]| names.contradicts(&texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
        assert!(bound(&["::a@h.celery.pidbox"]));
        assert!(!bound(&[]) && !bound(&["::a@h.celery.pidbox", "\u{6}\u{16}\u{6}\u{16}b@h.celery.pidbox"]));
    }

    #[test]
    fn values_with_which_kombu_does_not_work_are_rejected() {
        let key = |keys: NamingKeys| keys.validate().err().map(|error| error.key);
        for separator in ["", "x", "a1"] {
            assert_eq!(key(NamingKeys { separator: separator.to_owned(), ..NamingKeys::default() }), Some("separator"));
        }
        for fanout_prefix in ["db.", "/db", "/a.b.", "True"] {
            assert_eq!(key(NamingKeys { fanout_prefix: fanout_prefix.to_owned(), ..NamingKeys::default() }), Some("fanout_prefix"));
        }
        assert_eq!(key(NamingKeys { fanout_prefix: String::new(), ..NamingKeys::default() }), None);
        assert_eq!(key(NamingKeys { priority_steps: Vec::new(), ..NamingKeys::default() }), Some("priority_steps"));
        let own = |separator: &str| NamingKeys { separator: separator.to_owned(), ..NamingKeys::default() }.own_queue("1");
        assert_eq!((own(":"), own(".")), ("allswell.1".to_owned(), "allswell:1".to_owned()));
    }
}
