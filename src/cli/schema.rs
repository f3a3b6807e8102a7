//! `allswell schema`: prints the JSON Schema of the configuration.

use super::{exit::Exit, terminal::print};
use crate::{config::schema, kinds::Registry};

pub(super) fn run(registry: &Registry) -> Exit {
    print(&format!("{:#}\n", schema(registry)));
    Exit::Done
}
