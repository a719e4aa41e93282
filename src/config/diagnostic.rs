//! An error or warning about a configuration file, as the user sees it. The checks themselves are elsewhere.

use std::{fmt, sync::Arc};

use super::safe_text::SafeText;

/// An error or warning about one place in the file.
///
/// Displays as `FILE:LINE:COLUMN: what is wrong: what to write instead`, followed by the source line with a mark under
/// it. It cannot contain a secret: its texts are [`SafeText`], and the source line shows only names and values that are
/// certainly harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it prevents the program from running.
    pub severity: Severity,
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Counts from 1; 0 if it concerns the file as a whole.
    pub line: usize,
    /// In characters, from 1; 0 if it concerns the file as a whole.
    pub column: usize,
    /// What is wrong.
    pub problem: SafeText,
    /// What to write instead.
    pub hint: SafeText,
    /// The source line; `None` if it concerns the file as a whole.
    pub excerpt: Option<Excerpt>,
}

/// Whether it prevents the program from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The program runs all the same.
    Warning,
}

/// A source line, with secrets hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Known names and harmless values of the line, with `***` for everything else. Tabs are spaces, and a long line is
    /// cut around the mark.
    pub text: String,
    /// Terminal columns before the mark.
    pub indent: usize,
    /// Terminal columns under the mark; at least 1.
    pub width: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, file, line, column, problem, hint, excerpt } = self;
        write!(f, "{file}:")?;
        if *line > 0 {
            write!(f, "{line}:{column}:")?;
        }
        let severity = match severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, " {severity}{problem}: {hint}")?;
        if let Some(Excerpt { text, indent, width }) = excerpt {
            write!(f, "\n{line:>5} | {text}\n      | {:indent$}{}", "", "^".repeat(*width))?;
        }
        Ok(())
    }
}

/// Every error of a configuration file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Diagnostic>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
