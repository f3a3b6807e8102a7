//! `cargo xtask pages`: takes pictures of the status page in every state, for review, and writes the README's picture of a failure.

use crate::run::{cargo, root, run, say};
use std::{path::Path, process::Command};

const STATES: [&str; 5] = ["pass", "warn", "fail", "starting", "draining"];

/// Each colour scheme with Chromium's number for it.
const SCHEMES: [(&str, u8); 2] = [("light", 1), ("dark", 0)];

/// Window sizes, in pixels.
const SIZES: [(&str, &str); 2] = [("desktop", "1100,900"), ("phone", "390,1500")];

/// The window of the README's picture: it ends below the failing components, so that the quick start fits on the first screen.
const README_SIZE: &str = "1100,585";

/// Takes the pictures of the pages that the tests write.
pub(crate) fn pictures() -> Result<(), String> {
    cargo(&["test", "--package", "allswell", "--lib", "pages_are_as_they_were"])?;
    let folder = root().join("target/status-page");
    for state in STATES {
        for (scheme, number) in SCHEMES {
            for (size, pixels) in SIZES {
                picture(&folder.join(format!("{state}.html")), number, pixels, &folder.join(format!("{state}-{scheme}-{size}.png")))?;
            }
        }
    }
    let readme = root().join("docs/status-page.png");
    picture(&folder.join("fail.html"), 1, README_SIZE, &readme)?;
    say(&format!("look at {}, and at {}", folder.display(), readme.display()));
    Ok(())
}

fn picture(page: &Path, scheme: u8, size: &str, picture: &Path) -> Result<(), String> {
    let mut chromium = Command::new("/usr/bin/chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars", "--log-level=3"]);
    chromium.arg(format!("--blink-settings=preferredColorScheme={scheme}")).arg(format!("--window-size={size}"));
    chromium.arg(format!("--screenshot={}", picture.display()));
    run(chromium.arg(format!("file://{}", page.display())))
}
