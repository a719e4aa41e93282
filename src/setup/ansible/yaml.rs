//! The YAML format: groups with `hosts`, `children` and `vars`. Its events become a small tree with the line of each
//! node, within bounds. Aliases are not followed, so that a short text cannot become a large one.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::{
    range,
    tree::Tree,
    variables::{Form, Value, Variables},
};
use crate::setup::{
    host::known_as,
    input::{EXPORT, InputError, at},
};

/// The most nodes: a host with three variables has eight.
const MOST_NODES: usize = 600_000;
/// The deepest nesting, here and of groups.
const DEEPEST: usize = 64;

/// A node.
#[derive(Debug)]
struct Node {
    line: usize,
    is_tagged: bool,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    Text(String),
    Map(Vec<(Node, Node)>),
    List,
    /// `*name`: what it stands for is not looked up.
    Alias,
}

impl Node {
    /// Whether it is the key of a merge.
    fn is_merge(&self) -> bool {
        matches!(&self.content, Content::Text(text) if text == "<<")
    }
}

/// The groups and hosts of a text.
pub(super) fn tree<'a>(text: &str, file: &'a str) -> Result<Tree<'a>, InputError> {
    let mut reader = Reader { parser: Parser::new_from_str(text), file, nodes: 0 };
    let Some(root) = reader.document()? else {
        return Err(InputError::new(file, "there is no host in it", "name an inventory of Ansible"));
    };
    let mut tree = Tree::new(file);
    for (key, group) in pairs(&root, file, "the groups")? {
        add_group(&mut tree, key, group, None, file, 1)?;
    }
    Ok(tree)
}

fn add_group(
    tree: &mut Tree<'_>,
    key: &Node,
    node: &Node,
    parent: Option<usize>,
    file: &str,
    depth: usize,
) -> Result<(), InputError> {
    let line = key.line;
    if depth > DEEPEST {
        return Err(InputError::new(&at(file, line), "groups are nested too deeply", "name each group at the top"));
    }
    let name = name_of(key, file)?;
    if parent.is_none() && name == "_meta" {
        let hint = format!("name what {EXPORT} writes");
        return Err(InputError::new(&at(file, line), "this is the JSON of a dynamic inventory", hint));
    }
    let group = tree.group(name, line)?;
    if let Some(parent) = parent {
        tree.add_child(parent, group, line)?;
    }
    for (key, value) in pairs(node, file, "a group")? {
        match name_of(key, file)? {
            "hosts" => {
                for (host, own) in pairs(value, file, "`hosts`")? {
                    let variables = variables(own, file)?;
                    for name in range::expanded(name_of(host, file)?, &at(file, host.line))? {
                        tree.add_host(group, &name, host.line, &variables)?;
                    }
                }
            }
            "children" => {
                for (child, inside) in pairs(value, file, "`children`")? {
                    add_group(tree, child, inside, Some(group), file, depth + 1)?;
                }
            }
            "vars" => {
                let own = variables(value, file)?;
                if let Some(variables) = tree.variables_of(group) {
                    variables.override_with(&own);
                }
            }
            other => {
                let problem = format!("{} is no part of a group", known_as(other));
                return Err(InputError::new(&at(file, key.line), problem, "write `hosts`, `children` or `vars`"));
            }
        }
    }
    Ok(())
}

fn variables(node: &Node, file: &str) -> Result<Variables, InputError> {
    let mut variables = Variables::default();
    for (key, value) in pairs(node, file, "the variables")? {
        let (text, form) = match &value.content {
            _ if value.is_tagged => (String::new(), Form::Tagged),
            Content::Text(text) => (text.clone(), Form::Text),
            Content::Null => (String::new(), Form::Null),
            Content::Map(_) | Content::List => (String::new(), Form::Nested),
            Content::Alias => (String::new(), Form::Alias),
        };
        variables.set(name_of(key, file)?, Value { text, line: value.line, form });
    }
    Ok(variables)
}

/// The pairs of a mapping; none, if there is nothing.
fn pairs<'n>(node: &'n Node, file: &str, what: &str) -> Result<&'n [(Node, Node)], InputError> {
    let not_followed = |line: usize, problem: &str| {
        let hint = format!("write the values themselves, or name what {EXPORT} writes");
        Err(InputError::new(&at(file, line), problem, hint))
    };
    match &node.content {
        Content::Null => Ok(&[]),
        Content::Map(pairs) => match pairs.iter().find(|(key, _)| key.is_merge()) {
            Some((key, _)) => not_followed(key.line, "a merge (`<<`) is not read here"),
            None => Ok(pairs),
        },
        Content::Alias => not_followed(node.line, "an alias (`*name`) is not read here"),
        Content::Text(_) | Content::List => {
            let problem = format!("{what} should be a mapping here");
            Err(InputError::new(&at(file, node.line), problem, "write each name on its own line, with `:` behind it"))
        }
    }
}

fn name_of<'n>(node: &'n Node, file: &str) -> Result<&'n str, InputError> {
    match &node.content {
        Content::Text(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text),
        Content::Text(_) | Content::Null | Content::Map(_) | Content::List | Content::Alias => {
            Err(InputError::new(&at(file, node.line), "this is not a name", "write a plain text before `:`"))
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    file: &'a str,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, line: usize, problem: &str, hint: &str) -> InputError {
        InputError::new(&at(self.file, line), problem, hint)
    }

    fn malformed(&self, error: &ScanError) -> InputError {
        // Some errors end with a letter of the file.
        let reason = error.info().split('`').next().unwrap_or_default().trim_end_matches([':', ' ']);
        let problem = format!("this is not YAML ({reason})");
        self.error(error.marker().line(), &problem, "correct it here or just before")
    }

    /// The next event and its line; `None` at the end.
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>, InputError> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, span.start.line()))),
            Some(Err(error)) => Err(self.malformed(&error)),
        }
    }

    /// The only document; `None` if there is nothing.
    fn document(&mut self) -> Result<Option<Node>, InputError> {
        let mut root = None;
        while let Some((event, line)) = self.next()? {
            match event {
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
                Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd => {
                    if root.is_some() {
                        return Err(self.error(line, "there is a second document", "keep one"));
                    }
                    root = Some(self.node(event, line, 0)?);
                }
            }
        }
        Ok(root)
    }

    /// The node that begins with an event.
    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, InputError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.error(line, "the file has too many values", "name an inventory without variables"));
        }
        if depth > DEEPEST {
            return Err(self.error(line, "values are nested too deeply", "name an inventory without variables"));
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let is_null = style == ScalarStyle::Plain && ["", "~", "null", "Null", "NULL"].contains(&text.as_ref());
                let content = if is_null { Content::Null } else { Content::Text(text.into_owned()) };
                Ok(Node { line, is_tagged: tag.is_some(), content })
            }
            Event::MappingStart(_, tag) => {
                let content = Content::Map(self.pairs(line, depth)?);
                Ok(Node { line, is_tagged: tag.is_some(), content })
            }
            Event::SequenceStart(_, tag) => {
                loop {
                    match self.inside(line)? {
                        (Event::SequenceEnd, _) => break,
                        (event, line) => drop(self.node(event, line, depth + 1)?),
                    }
                }
                Ok(Node { line, is_tagged: tag.is_some(), content: Content::List })
            }
            Event::Alias(_) => Ok(Node { line, is_tagged: false, content: Content::Alias }),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Err(self.error(line, "this is not YAML", "correct it here or just before")),
        }
    }

    /// The pairs of a mapping up to its end.
    fn pairs(&mut self, line: usize, depth: usize) -> Result<Vec<(Node, Node)>, InputError> {
        let mut pairs = Vec::new();
        let mut keys = HashSet::new();
        loop {
            let (event, line) = match self.inside(line)? {
                (Event::MappingEnd, _) => return Ok(pairs),
                next => next,
            };
            let key = self.node(event, line, depth + 1)?;
            if let Content::Text(text) = &key.content
                && !keys.insert(text.clone())
            {
                let problem = format!("{} is written twice here", known_as(text));
                return Err(self.error(line, &problem, "keep one"));
            }
            let (event, line) = self.inside(line)?;
            pairs.push((key, self.node(event, line, depth + 1)?));
        }
    }

    fn inside(&mut self, line: usize) -> Result<(Event<'a>, usize), InputError> {
        self.next()?.ok_or_else(|| self.error(line, "the file ends within a value", "complete it"))
    }
}
