//! Finds the targets for which this machine can build a static binary, and builds it.

use super::{release::Release, with_path};
use crate::{
    run::{output, root, run, say},
    tools,
};
use std::{env, fs, path::PathBuf, process::Command};

/// The preferred targets: a binary linked to musl depends on nothing but the kernel.
const MUSL: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// The target of a binary, and the compiler for its C code.
pub(super) struct Target {
    /// rustc's name of the target.
    pub(super) triple: String,
    /// The C compiler, which is also the linker; `None` for the default compiler.
    compiler: Option<String>,
}

/// All targets that can be built here. If musl is missing for this machine's architecture, its glibc is linked statically instead.
pub(super) fn buildable() -> Result<Vec<Target>, String> {
    let host = output(rustc().args(["--print", "host-tuple"]))?.trim().to_owned();
    let mut targets = Vec::new();
    for triple in MUSL {
        match find(triple, &host) {
            Ok(target) => {
                say(&format!("{triple}: static, needs nothing of the machine that it runs on"));
                targets.push(target);
            }
            Err(reason) => say(&format!("{triple}: LEFT OUT: {reason}")),
        }
    }
    if !targets.iter().any(|target| architecture(&target.triple) == architecture(&host)) {
        say(&format!(
            "{host}: static, with glibc instead of musl: it resolves names by files and DNS; other sources in nsswitch.conf work only on machines \
             with the libraries of the same glibc version"
        ));
        targets.push(Target { triple: host, compiler: None });
    }
    Ok(targets)
}

/// A target that can be built here.
///
/// # Errors
///
/// The standard library or the C compiler of the target is missing.
fn find(triple: &str, host: &str) -> Result<Target, String> {
    let libraries = output(rustc().args(["--print", "target-libdir", "--target", triple]))?;
    let mut entries = fs::read_dir(libraries.trim()).into_iter().flatten().flatten();
    if !entries.any(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("libstd-"))) {
        return Err(format!("its standard library is not installed: run `rustup target add {triple}`"));
    }
    if triple == host {
        return Ok(Target { triple: triple.to_owned(), compiler: None });
    }
    let variable = format!("CC_{}", triple.replace('-', "_"));
    let wrapper = (architecture(triple) == architecture(host)).then_some("musl-gcc");
    let usual_names = [Some(format!("{}-linux-musl-gcc", architecture(triple))), wrapper.map(str::to_owned)];
    match tools::variable(&variable).or_else(|| usual_names.into_iter().flatten().find(|name| in_path(name))) {
        compiler @ Some(_) => Ok(Target { triple: triple.to_owned(), compiler }),
        None => Err(format!("it has no C compiler here: install musl-tools, or set {variable} to one")),
    }
}

/// Builds the program, and verifies that it is linked statically.
pub(super) fn build(target: &Target, release: &Release) -> Result<PathBuf, String> {
    let triple = &target.triple;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env("SOURCE_DATE_EPOCH", &release.epoch).env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\x1f"));
    if let Some(compiler) = &target.compiler {
        cargo.env(format!("CC_{}", triple.replace('-', "_")), compiler);
        // For this machine's architecture, rustc's default linker works.
        if architecture(triple) != env::consts::ARCH {
            cargo.env(format!("CARGO_TARGET_{}_LINKER", triple.replace('-', "_").to_uppercase()), compiler);
        }
    }
    cargo.args(["build", "--profile", "dist", "--locked", "--package", "allswell", "--bin", "allswell"]);
    run(cargo.args(["--target-dir", "target/static", "--target", triple]))?;
    let binary = root().join("target/static").join(triple).join("dist/allswell");
    let bytes = fs::read(&binary).map_err(|error| with_path(&binary, &error))?;
    match has_dynamic_loader(&bytes) {
        Some(false) => Ok(binary),
        Some(true) => Err(format!("{} is linked dynamically", binary.display())),
        None => Err(format!("{} is not a 64-bit ELF file", binary.display())),
    }
}

/// The flags of rustc for each crate in the binary. Paths of this machine are replaced: they are private, and would change the binary from
/// machine to machine.
fn flags() -> Result<[String; 3], String> {
    Ok([
        "-Ctarget-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={}=/cargo", tools::home()?.display()),
        format!("--remap-path-prefix={}=/allswell", root().display()),
    ])
}

/// Whether a 64-bit ELF file has a segment `PT_INTERP`, which names a dynamic loader. `None` if it is another kind of file.
fn has_dynamic_loader(elf: &[u8]) -> Option<bool> {
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

/// The compiler that cargo uses.
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
    fn a_dynamically_linked_program_is_recognised() {
        let itself = fs::read(env::current_exe().expect("a program")).expect("its bytes");
        assert_eq!(has_dynamic_loader(&itself), Some(cfg!(not(target_feature = "crt-static"))));
        assert_eq!(has_dynamic_loader(b"#!/bin/sh\n"), None);
        assert_eq!(has_dynamic_loader(&itself[..60]), None);
    }
}
