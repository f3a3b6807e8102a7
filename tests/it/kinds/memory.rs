//! `memory`, on this machine. Control groups are read from files in the kind's own tests: these may not make one.

use crate::probing::Probed;
use std::fs;

#[test]
fn this_machine_or_its_group_is_told() {
    let host = fs::read_to_string("/proc/meminfo").expect("proc");
    let total: u64 =
        host.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok()).expect("a number");
    let seen = Probed::new("kind = \"memory\"").pass();
    let number = |name: &str| seen.values()[name].as_u64().expect("a number");
    assert!(number("limit_bytes") <= total * 1024 && number("available_bytes") < number("limit_bytes"), "{seen:?}");
    assert_eq!(seen.warning(), None);
}

#[test]
fn both_thresholds_count() {
    let warned = Probed::new("kind = \"memory\"\nwarn_available = \"100%\"").pass();
    assert!(warned.warning().is_some_and(|text| text.ends_with(" available, less than 100%")), "{warned:?}");
    let failure = Probed::new("kind = \"memory\"\nfail_available = \"1000TiB\"").fail();
    assert!(failure.message().ends_with(" available, less than 1000 TiB"), "{failure}");
    for observed in ["available_bytes", "limit_bytes"] {
        assert!(failure.values()[observed].is_u64(), "{failure:?}");
    }
    assert_eq!(failure.class().as_str(), "unhealthy");
}
