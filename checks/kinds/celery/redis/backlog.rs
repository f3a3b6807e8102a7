//! Counts the messages in queues by the lengths of their lists.

use super::{
    super::{
        naming::NamingKeys,
        pidbox::{Inspection, Requirements},
    },
    refused,
};
use crate::contract::Failure;
use redis::{Pipeline, RedisError, RedisResult, Value};

/// Adds commands that count the messages. Returns the number of lists of each queue.
pub(super) fn add_to(commands: &mut Pipeline, names: &NamingKeys, requirements: &Requirements) -> Vec<usize> {
    let mut numbers = Vec::new();
    for queue in &requirements.counted_queues {
        let lists = names.lists(queue);
        numbers.push(lists.len());
        for list in lists {
            commands.cmd("LLEN").arg(list);
        }
    }
    numbers
}

/// Records the numbers of messages.
pub(super) fn count(
    inspection: &mut Inspection,
    requirements: &Requirements,
    lists: &[usize],
    waits: Vec<RedisResult<Value>>,
) -> Result<(), Failure> {
    let mut waits = waits.into_iter().map(|length| Ok(redis::from_redis_value::<u64>(length?)?));
    for (queue, lists) in requirements.counted_queues.iter().zip(lists) {
        // All lengths are taken, whatever the first one is: the next ones belong to the next queue.
        let lengths: Vec<RedisResult<u64>> = waits.by_ref().take(*lists).collect();
        match lengths.into_iter().try_fold(0, |sum: u64, length| Ok(sum.saturating_add(length?))) {
            Ok(messages) => {
                inspection.backlog.insert(queue.clone(), messages);
            }
            Err(error) if requirements.limits_backlog => return Err(uncountable(queue, error)),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Why a queue whose backlog has limits could not be counted.
fn uncountable(queue: &str, error: RedisError) -> Failure {
    match error.code() {
        Some("NOPERM") => refused(error).saying(format!("the user may not read the length of the queue {queue}")),
        Some("WRONGTYPE") => Failure::unhealthy(format!("the key of the queue {queue} is not a list")).because(error),
        _ => refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::TimeSpan;

    #[test]
    fn a_queue_without_the_right_does_not_affect_the_next() {
        let counted_queues = vec!["a".to_owned(), "b".to_owned()];
        let requirements = Requirements {
            workers: Vec::new(),
            min_workers: 1,
            queues: counted_queues.clone(),
            patience: TimeSpan::seconds(1),
            counted_queues,
            limits_backlog: false,
            remote_control: true,
            warn_stuck: None,
        };
        let lengths = || -> Vec<RedisResult<Value>> {
            let forbidden = || Err(RedisError::from((redis::ErrorKind::Extension, "no")));
            let known = [1, 2, i64::MAX, i64::MAX, 4].map(|length| Ok(Value::Int(length)));
            [forbidden(), forbidden(), forbidden()].into_iter().chain(known).collect()
        };
        let mut inspection = Inspection::default();
        assert!(count(&mut inspection, &requirements, &[3, 5], lengths()).is_ok());
        assert_eq!(inspection.backlog.into_iter().collect::<Vec<_>>(), [("b".to_owned(), u64::MAX)]);
        assert!(count(&mut Inspection::default(), &Requirements { limits_backlog: true, ..requirements }, &[3, 5], lengths()).is_err());
    }
}
