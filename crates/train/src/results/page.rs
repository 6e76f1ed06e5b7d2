//! The frame of a report: one HTML file that links to nothing, follows light and dark, and fits a phone.

/// The page around `body`.
pub(super) fn page(title: &str, body: &str) -> String {
    let (title, style) = (escaped(title), include_str!("report.css"));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title>\n<style>{style}</style></head>\n<body><main>\n{body}</main></body></html>\n"
    )
}

/// Text with the characters that HTML reads escaped, also within quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '"' => made.push_str("&quot;"),
            '\'' => made.push_str("&#39;"),
            c => made.push(c),
        }
    }
    made
}
