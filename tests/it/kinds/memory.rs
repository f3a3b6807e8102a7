//! `memory`, on this machine. These tests may not create a control group: the unit tests of the kind read files of some.

use crate::probing::Probed;
use std::fs;

#[test]
fn the_limit_is_that_of_the_machine_or_of_its_control_group() {
    let host = fs::read_to_string("/proc/meminfo").expect("proc");
    let total: u64 =
        host.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok()).expect("a number");
    let seen = Probed::new("kind = \"memory\"").pass();
    let number = |name: &str| seen.values()[name].as_u64().expect("a number");
    assert!(number("limit_bytes") <= total * 1024 && number("available_bytes") < number("limit_bytes"), "{seen:?}");
    assert_eq!(seen.warning(), None);
}

#[test]
fn less_available_memory_than_the_limit_warns_or_fails() {
    let warned = Probed::new("kind = \"memory\"\nwarn_available = \"100%\"").pass();
    assert!(warned.warning().is_some_and(|text| text.ends_with(" available, less than 100%")), "{warned:?}");
    let failure = Probed::new("kind = \"memory\"\nfail_available = \"1000TiB\"").fail();
    assert!(failure.message().ends_with(" available, less than 1000 TiB"), "{failure}");
    for observed in ["available_bytes", "limit_bytes"] {
        assert!(failure.values()[observed].is_u64(), "{failure:?}");
    }
    assert_eq!(failure.class().as_str(), "unhealthy");
}
