//! Links and anchors of HTML as mdBook writes it: attributes in double quotes.

use super::{Link, Page};

pub(super) fn page(text: &str) -> Page {
    let (mut links, mut anchors) = (Vec::new(), std::collections::BTreeSet::new());
    for (number, line) in text.lines().enumerate() {
        for tag in line.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or(rest)) {
            if let Some(id) = attribute(tag, "id") {
                anchors.insert(id);
            }
            let part = attribute(tag, "src").or_else(|| tag.starts_with("link ").then(|| attribute(tag, "href")).flatten());
            let link = tag.starts_with("a ").then(|| attribute(tag, "href")).flatten();
            for (target, part) in [(part, true), (link, false)] {
                links.extend(target.map(|target| Link { line: number + 1, target, part }));
            }
        }
    }
    Page { links, anchors }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_parts_and_anchors_are_distinguished() {
        let Page { links, anchors } =
            page("<h2 id=\"a\"><a class=\"x\" href=\"b.html?c&amp;d\">e</a></h2>\n<img src=\"f.png\"><link rel=\"g\" href=\"h.css\">");
        let found: Vec<_> = links.iter().map(|link| (link.line, link.target.as_str(), link.part)).collect();
        assert_eq!(found, [(1, "b.html?c&d", false), (2, "f.png", true), (2, "h.css", true)]);
        assert!(anchors.contains("a"));
    }
}
