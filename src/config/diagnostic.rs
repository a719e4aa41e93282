//! What is wrong with a configuration file, shown so that it can be mended. Not the checks themselves.

use std::{fmt, sync::Arc};

use super::safe_text::SafeText;

/// Something wrong at one place of the file.
///
/// Displays as `FILE:LINE:COLUMN: what is wrong: what to write instead`, with the source line and a mark
/// underneath. It cannot hold a secret: its words are [`SafeText`], and of the source line only names and values
/// that are certainly harmless are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the program.
    pub severity: Severity,
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Counts from 1; 0 where it concerns the file as a whole.
    pub line: usize,
    /// Counts characters from 1; 0 where it concerns the file as a whole.
    pub column: usize,
    /// What is wrong.
    pub problem: SafeText,
    /// What to write instead.
    pub hint: SafeText,
    /// The source line; `None` where it concerns the file as a whole.
    pub excerpt: Option<Excerpt>,
}

/// Whether it stops the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// A source line, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line: known names and harmless values, `***` for everything else, tabs as spaces, far-away parts cut.
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
