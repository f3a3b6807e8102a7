//! For which machines a static binary can be built here, and building it.

use super::{named, release::Release};
use crate::{
    run::{output, root, run, say},
    tools,
};
use std::{env, fs, path::PathBuf, process::Command};

/// Linked to musl, a binary needs nothing of the machine that it runs on.
const MUSL: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// What a binary is built for.
pub(super) struct Target {
    /// As rustc names it.
    pub(super) triple: String,
    /// The C compiler, which is the linker, too; none where it is the machine's own.
    compiler: Option<String>,
}

/// Every target that can be built here. Without musl for this very machine that is its own glibc, linked statically.
pub(super) fn possible() -> Result<Vec<Target>, String> {
    let host = output(rustc().args(["--print", "host-tuple"]))?.trim().to_owned();
    let mut targets = Vec::new();
    for triple in MUSL {
        match found(triple, &host) {
            Ok(target) => {
                say(&format!("{triple}: static, needs nothing of the machine that it runs on"));
                targets.push(target);
            }
            Err(why) => say(&format!("{triple}: LEFT OUT: {why}")),
        }
    }
    if !targets.iter().any(|target| architecture(&target.triple) == architecture(&host)) {
        say(&format!(
            "{host}: static, in place of musl, with glibc's bounds: it resolves names by files and DNS, and by what else nsswitch.conf \
             names only where the libraries of this very glibc are"
        ));
        targets.push(Target { triple: host, compiler: None });
    }
    Ok(targets)
}

/// A target with all that it takes, or what is missing.
fn found(triple: &str, host: &str) -> Result<Target, String> {
    let libraries = output(rustc().args(["--print", "target-libdir", "--target", triple]))?;
    let mut entries = fs::read_dir(libraries.trim()).into_iter().flatten().flatten();
    if !entries.any(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("libstd-"))) {
        return Err(format!("its standard library is not installed: `rustup target add {triple}`"));
    }
    if triple == host {
        return Ok(Target { triple: triple.to_owned(), compiler: None });
    }
    let variable = format!("CC_{}", triple.replace('-', "_"));
    let wrapper = (architecture(triple) == architecture(host)).then_some("musl-gcc");
    let usual = [Some(format!("{}-linux-musl-gcc", architecture(triple))), wrapper.map(str::to_owned)];
    match tools::variable(&variable).or_else(|| usual.into_iter().flatten().find(|name| in_path(name))) {
        compiler @ Some(_) => Ok(Target { triple: triple.to_owned(), compiler }),
        None => Err(format!("there is no C compiler for it: install musl-tools, or name one in {variable}")),
    }
}

/// Builds it, and makes sure that it is static.
pub(super) fn build(target: &Target, release: &Release) -> Result<PathBuf, String> {
    let triple = &target.triple;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env("SOURCE_DATE_EPOCH", &release.epoch).env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\x1f"));
    if let Some(compiler) = &target.compiler {
        cargo.env(format!("CC_{}", triple.replace('-', "_")), compiler);
        // For this machine's own kind of processor any linker does, and Rust knows the way.
        if architecture(triple) != env::consts::ARCH {
            cargo.env(format!("CARGO_TARGET_{}_LINKER", triple.replace('-', "_").to_uppercase()), compiler);
        }
    }
    cargo.args(["build", "--profile", "dist", "--locked", "--package", "allswell", "--bin", "allswell"]);
    run(cargo.args(["--target-dir", "target/static", "--target", triple]))?;
    let binary = root().join("target/static").join(triple).join("dist/allswell");
    let bytes = fs::read(&binary).map_err(|error| named(&binary, &error))?;
    match asks_for_a_loader(&bytes) {
        Some(false) => Ok(binary),
        Some(true) => Err(format!("{} is linked dynamically", binary.display())),
        None => Err(format!("{} is no program of a 64-bit Linux", binary.display())),
    }
}

/// What rustc is told for each crate that becomes part of the binary: paths of this machine are nobody's business, and would make it another
/// binary on every machine.
fn flags() -> Result<[String; 3], String> {
    Ok([
        "-Ctarget-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={}=/cargo", tools::home()?.display()),
        format!("--remap-path-prefix={}=/allswell", root().display()),
    ])
}

/// Whether an ELF file of 64 bits has a segment `PT_INTERP`, which names its dynamic loader.
fn asks_for_a_loader(elf: &[u8]) -> Option<bool> {
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    let kinds: Option<Vec<usize>> = (0..count).map(|index| number(table + index * size, 4)).collect();
    kinds.map(|kinds| kinds.contains(&3))
}

fn architecture(triple: &str) -> &str {
    triple.split('-').next().unwrap_or_default()
}

/// The compiler that cargo takes.
fn rustc() -> Command {
    Command::new(tools::variable("RUSTC").as_deref().unwrap_or("rustc"))
}

fn in_path(program: &str) -> bool {
    tools::variable("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).exists()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_asks_for_a_loader_is_known() {
        let itself = fs::read(env::current_exe().expect("a program")).expect("its bytes");
        assert_eq!(asks_for_a_loader(&itself), Some(cfg!(not(target_feature = "crt-static"))));
        assert_eq!(asks_for_a_loader(b"#!/bin/sh\n"), None);
        assert_eq!(asks_for_a_loader(&itself[..60]), None);
    }
}
