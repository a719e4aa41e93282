//! What is wrong with a configuration file, shown so that it can be mended. Not the checks themselves.

/// Something wrong at one place of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the program.
    pub severity: Severity,
    /// Counts from 1; 0 where it concerns the file as a whole.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub mend: String,
}

/// Whether it stops the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}
