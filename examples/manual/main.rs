//! Writes the manual pages into a folder: `cargo run --example manual -- FOLDER DATE`, then `man --local-file FOLDER/allswell.1`.

mod pages;

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, date] = arguments.as_slice() else {
        return Err(io::Error::other("usage: manual FOLDER DATE, with the date of the pages as YYYY-MM-DD"));
    };
    fs::create_dir_all(folder)?;
    for page in pages::pages(date)? {
        fs::write(Path::new(folder).join(page.file), page.text)?;
    }
    Ok(())
}
