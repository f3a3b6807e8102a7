//! Links: each must lead to a file that is there, and to a heading that it has. Those that leave the machine are only read.

mod html;
mod markdown;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

/// What a page links to, and what in it can be linked to.
struct Page {
    links: Vec<Link>,
    anchors: BTreeSet<String>,
}

struct Link {
    line: usize,
    target: String,
    /// It is fetched with the page, as a picture or a script is.
    part: bool,
}

/// Checks the pages of a built book, and copies the files of the repository that they link to next to them.
pub(crate) fn of_the_book(mirror: &Path, root: &Path) -> Result<Vec<String>, String> {
    let pages = read(&with_extension(mirror, "html")?, html::page)?;
    let mut trouble = Vec::new();
    for (page, Page { links, .. }) in &pages {
        for Link { line, target, part } in links {
            let place = format!("{}:{line}: {target}", page.display());
            let Some((path, anchor)) = local(target) else {
                trouble.extend(foreign(target, *part).map(|wrong| format!("{place}: {wrong}")));
                continue;
            };
            let file = resolved(page, path);
            let Ok(inside) = file.strip_prefix(mirror) else {
                trouble.push(format!("{place}: this is outside of the repository"));
                continue;
            };
            if let Some(page) = pages.get(&file) {
                // A page that only points to another has no headings: they are looked for in Markdown.
                if anchor.is_some_and(|anchor| !page.anchors.contains(anchor)) && !page.anchors.is_empty() {
                    trouble.push(format!("{place}: the page has no such heading"));
                }
            } else if !file.is_file() && root.join(inside).is_file() {
                copy(&root.join(inside), &file)?;
            } else if !file.is_file() {
                trouble.push(format!("{place}: there is no such file; the book has HTML for its own pages, and no folders"));
            }
        }
    }
    Ok(trouble)
}

/// Checks pages of Markdown as a forge shows them.
pub(crate) fn as_on_a_forge<'a>(pages: impl Iterator<Item = &'a PathBuf>, root: &Path) -> Result<Vec<String>, String> {
    let pages: Vec<PathBuf> = pages.cloned().collect();
    let pages = read(&pages, markdown::page)?;
    let mut trouble = Vec::new();
    for (page, Page { links, .. }) in &pages {
        for Link { line, target, part } in links {
            let place = format!("{}:{line}: {target}", page.strip_prefix(root).unwrap_or(page).display());
            let Some((path, anchor)) = local(target) else {
                trouble.extend(foreign(target, *part).map(|wrong| format!("{place}: {wrong}")));
                continue;
            };
            let file = resolved(page, path);
            if !file.exists() {
                trouble.push(format!("{place}: there is no such file"));
            } else if let (Some(page), Some(anchor)) = (pages.get(&file), anchor)
                && !page.anchors.contains(anchor)
            {
                trouble.push(format!("{place}: the page has no such heading"));
            }
        }
    }
    Ok(trouble)
}

/// Path and anchor of a link that stays here.
fn local(target: &str) -> Option<(&str, Option<&str>)> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let leaves = path.starts_with("//") || path.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphabetic()));
    (!leaves).then_some((path, anchor.filter(|anchor| !anchor.is_empty())))
}

/// What is wrong with a link to another site. No request is sent: a build must not depend on whether that site is up.
fn foreign(target: &str, part: bool) -> Option<&'static str> {
    if target.starts_with("mailto:") || target.starts_with("data:") {
        return None;
    }
    if part {
        return Some("a page must not need anybody else's server");
    }
    let Some(rest) = target.strip_prefix("https://").or_else(|| target.strip_prefix("http://")) else {
        return Some("write the whole address, with https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    (!host.contains('.') && !host.starts_with("localhost") || target.contains(char::is_whitespace)).then_some("this is not an address")
}

/// The file that a page's link means.
fn resolved(page: &Path, path: &str) -> PathBuf {
    if path.is_empty() {
        return page.to_owned();
    }
    let mut file = page.parent().unwrap_or(page).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => _ = file.pop(),
            Component::Normal(name) => file.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    if path.ends_with('/') && file.join("index.html").is_file() { file.join("index.html") } else { file }
}

fn read(files: &[PathBuf], page: impl Fn(&str) -> Page) -> Result<BTreeMap<PathBuf, Page>, String> {
    let one = |file: &PathBuf| {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok((file.clone(), page(&text)))
    };
    files.iter().map(one).collect()
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(from, to));
    copied.map(drop).map_err(|error| format!("{}: {error}", to.display()))
}

/// All files below a folder whose names end so, in order.
pub(crate) fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(with_extension(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_other_sites_are_distinguished_from_local_ones() {
        assert_eq!(local("a.md#b"), Some(("a.md", Some("b"))));
        assert_eq!(local("#b"), Some(("", Some("b"))));
        for leaves in ["https://example.com", "mailto:somebody@example.com", "//example.com/x.js"] {
            assert_eq!(local(leaves), None, "{leaves}");
        }
        assert_eq!(foreign("https://example.com/a", false), None);
        for wrong in ["https://example", "ftp://example.com", "//example.com"] {
            assert!(foreign(wrong, false).is_some(), "{wrong}");
        }
        assert!(foreign("https://example.com/x.js", true).is_some(), "nothing is fetched");
    }

    #[test]
    fn files_are_found_from_where_the_page_is() {
        let page = Path::new("/book/kinds/tcp.html");
        assert_eq!(resolved(page, ""), page);
        assert_eq!(resolved(page, "../start.html"), Path::new("/book/start.html"));
        assert_eq!(resolved(page, "./http.html"), Path::new("/book/kinds/http.html"));
    }
}
