//! The imports between the files of `src/`, found by parsing them, without tests. A re-export does not count as an
//! import: a file that uses a re-exported name imports the file that defines it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use syn::{Attribute, Ident, Item, ItemUse, UseTree, Visibility, visit::Visit};

/// A module's path from the crate root: `["fleet", "judge"]`. Empty for the root.
pub(crate) type ModulePath = Vec<String>;

/// The longest chain of re-exports that is followed.
const MOST_REEXPORTS: usize = 16;

/// A module that is a file.
#[derive(Default)]
struct Module {
    /// The paths in its code, relative to the crate root, with re-exports not yet resolved.
    named: BTreeSet<ModulePath>,
    /// The names that it re-exports, with their origin. `*` stands for all names.
    reexports: Vec<(String, ModulePath)>,
    /// Whether it uses the wire, the library of the agent's package.
    names_wire: bool,
}

/// The crate name of the wire.
pub(crate) const WIRE: &str = "fleetsweep_agent";

/// All modules that are files, with the modules that they import.
pub(crate) fn imports(files: &[(ModulePath, String)]) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let modules: BTreeMap<ModulePath, Module> =
        files.iter().map(|(path, text)| (path.clone(), Module::parse(path, text, Tests::LeftOut))).collect();
    modules
        .iter()
        .map(|(path, module)| {
            let targets = module.named.iter().filter_map(|named| definition(&modules, named, MOST_REEXPORTS));
            (path.clone(), targets.filter(|target| target != path).collect())
        })
        .collect()
}

/// Whether the tests in a file are parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    Included,
    LeftOut,
}

/// The top-level modules that a file uses, and the wire if it uses that.
pub(crate) fn roots(path: &[String], text: &str, tests: Tests) -> BTreeSet<String> {
    let module = Module::parse(path, text, tests);
    let named = module.named.iter().chain(module.reexports.iter().map(|(_, from)| from));
    let wire = module.names_wire.then(|| WIRE.to_owned());
    named.filter_map(|path| path.first().cloned()).chain(wire).collect()
}

/// The module path of a file in `src/`.
pub(crate) fn module_path(below_src: &Path) -> ModulePath {
    let mut path: ModulePath =
        below_src.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path == ["lib"] {
        path.clear();
    }
    path
}

/// Whether a module contains only tests.
pub(crate) fn is_tests(path: &[String]) -> bool {
    path.iter().any(|part| part == "tests")
}

/// The module that defines the item of a path.
fn definition(modules: &BTreeMap<ModulePath, Module>, named: &[String], reexports_left: usize) -> Option<ModulePath> {
    let length =
        (0..=named.len()).rev().find(|length| modules.contains_key(named.get(..*length).unwrap_or_default()))?;
    let (home, rest) = named.split_at(length);
    let module = modules.get(home)?;
    let reexported = rest.first().filter(|_| reexports_left > 0).and_then(|name| {
        let exact = module.reexports.iter().find(|(passed_on, _)| passed_on == name);
        exact.map(|(_, from)| from.clone()).or_else(|| {
            // The name may be defined in the module itself, unless the file only contains re-exports.
            let (_, from) = module.reexports.iter().find(|(passed_on, _)| passed_on == "*")?;
            module.named.is_empty().then(|| from.iter().chain([name]).cloned().collect())
        })
    });
    match reexported {
        Some(from) => definition(modules, &from, reexports_left - 1),
        None => Some(home.to_vec()),
    }
}

/// Groups of modules that import each other, each group sorted.
pub(crate) fn cycles(imports: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> Vec<Vec<ModulePath>> {
    let reaches: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = imports
        .keys()
        .map(|from| {
            let mut seen = BTreeSet::new();
            let mut waiting: Vec<&ModulePath> = imports.get(from).into_iter().flatten().collect();
            while let Some(next) = waiting.pop() {
                if seen.insert(next) {
                    waiting.extend(imports.get(next).into_iter().flatten());
                }
            }
            (from, seen)
        })
        .collect();
    let mut groups: Vec<Vec<ModulePath>> = Vec::new();
    for (from, reached) in &reaches {
        if !reached.contains(from) || groups.iter().any(|group| group.contains(from)) {
            continue;
        }
        let mutual = |other: &&&ModulePath| reaches.get(**other).is_some_and(|back| back.contains(from));
        groups.push(reached.iter().filter(mutual).map(|other| (*other).clone()).collect());
    }
    groups
}

impl Module {
    /// # Panics
    /// If the text is not Rust.
    fn parse(path: &[String], text: &str, tests: Tests) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", path.join("::")));
        let children =
            file.items.iter().filter_map(|item| if let Item::Mod(child) = item { Some(child) } else { None });
        let mut reader = Reader {
            path: path.to_vec(),
            children: children.map(|child| child.ident.to_string()).collect(),
            inline: Vec::new(),
            tests,
            found: Self::default(),
        };
        reader.visit_file(&file);
        reader.found
    }
}

/// Collects the paths in one file.
struct Reader {
    path: ModulePath,
    /// The modules that the file declares. Paths may begin with one of them.
    children: BTreeSet<String>,
    /// The inline modules around the current item.
    inline: Vec<String>,
    tests: Tests,
    found: Module,
}

impl Reader {
    /// The path from the crate root; `None` if it is in another crate or local.
    fn absolute(&self, written: &[String]) -> Option<ModulePath> {
        let here = || self.path.iter().chain(&self.inline).cloned().collect::<Vec<_>>();
        let (first, rest) = written.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => here(),
            "super" => here().split_last()?.1.to_vec(),
            child if self.inline.is_empty() && self.children.contains(child) => {
                here().into_iter().chain([child.to_owned()]).collect()
            }
            _ => return None,
        };
        for part in rest {
            if part == "super" {
                base.pop()?;
            } else {
                base.push(part.clone());
            }
        }
        Some(base)
    }

    fn is_left_out(&self, attributes: &[Attribute]) -> bool {
        self.tests == Tests::LeftOut && is_for_tests(attributes)
    }

    fn note(&mut self, written: &[String]) {
        self.found.names_wire |= written.len() > 1 && written.first().is_some_and(|first| first == WIRE);
        // A single word with the name of a child may be a variable.
        if written.len() > 1
            && let Some(path) = self.absolute(written)
        {
            self.found.named.insert(path);
        }
    }

    /// Finds the paths in the arguments of a macro, which syn does not parse.
    fn note_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(word) if colons == 2 || path.is_empty() => {
                    path.push(word.to_string());
                    colons = 0;
                    continue;
                }
                proc_macro2::TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() && colons < 2 => {
                    colons += 1;
                    continue;
                }
                proc_macro2::TokenTree::Ident(word) => {
                    self.note(&std::mem::replace(&mut path, vec![word.to_string()]));
                }
                proc_macro2::TokenTree::Group(group) => {
                    self.note(&std::mem::take(&mut path));
                    self.note_tokens(group.stream());
                }
                proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => {
                    self.note(&std::mem::take(&mut path));
                }
            }
            colons = 0;
        }
        self.note(&path);
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.path().is_ident("cfg").then(|| attribute.meta.require_list().ok()).flatten();
        attribute.path().is_ident("test") || list.is_some_and(|list| list.tokens.to_string().contains("test"))
    })
}

/// The paths of a `use` item, each with the name that it introduces.
fn flatten(tree: &UseTree, before: &[String], into: &mut Vec<(String, Vec<String>)>) {
    let with = |word: &Ident| before.iter().cloned().chain([word.to_string()]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident), into),
        UseTree::Name(name) if name.ident == "self" => {
            into.push((before.last().cloned().unwrap_or_default(), before.to_vec()));
        }
        UseTree::Name(name) => into.push((name.ident.to_string(), with(&name.ident))),
        UseTree::Rename(rename) => into.push((rename.rename.to_string(), with(&rename.ident))),
        UseTree::Glob(_) => into.push(("*".to_owned(), before.to_vec())),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, into);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds of items import nothing for tests alone")]
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            _ => &[],
        };
        if self.is_left_out(attributes) {
            return;
        }
        if let Item::Mod(module) = item
            && module.content.is_some()
        {
            self.inline.push(module.ident.to_string());
            syn::visit::visit_item(self, item);
            self.inline.pop();
        } else {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !self.is_left_out(&function.attrs) {
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut paths = Vec::new();
        flatten(&item.tree, &[], &mut paths);
        for (name, written) in paths {
            self.found.names_wire |= written.first().is_some_and(|first| first == WIRE);
            let Some(path) = self.absolute(&written) else { continue };
            let is_own_use = matches!(item.vis, Visibility::Inherited);
            if is_own_use {
                self.found.named.insert(path.clone());
            }
            // A private import is also visible in the child modules.
            if !is_own_use || name != "*" {
                self.found.reexports.push((name, path));
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&written);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.note_tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}
