//! Writes the manual's pages into a folder: `cargo run --example manual -- FOLDER`, then `man --local-file FOLDER/allswell.1`.

mod pages;

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or_else(|| io::Error::other("give the folder to write the pages into"))?);
    fs::create_dir_all(&folder)?;
    for page in pages::pages()? {
        fs::write(folder.join(page.file), page.text)?;
    }
    Ok(())
}
