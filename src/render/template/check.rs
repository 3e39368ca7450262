//! What is wrong with a template whatever the values are, found before anything is asked of Vault.

use std::collections::HashMap;

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos};

use super::Parsed;
use super::error::{Fault, TemplateError};
use super::{functions, known};

/// Functions that are not there or take another number of arguments, templates that are not there, variables that nobody declared.
pub fn check(parsed: &Parsed) -> Result<(), TemplateError> {
    let bodies = parsed.defines.values().chain([&parsed.main]);
    bodies.into_iter().try_for_each(|body| {
        let mut check = Check {
            parsed,
            variables: Scope::default(),
        };
        check.list(body, false)
    })
}

struct Check<'t> {
    parsed: &'t Parsed,
    /// Those that are declared at this place. A template in the text sees none of those outside of it.
    variables: Scope<'t>,
}

/// Variables in the order of their declaration, and each one's number: a text may declare and use thousands.
#[derive(Default)]
struct Scope<'t> {
    order: Vec<&'t str>,
    numbers: HashMap<&'t str, usize>,
}

impl<'t> Scope<'t> {
    fn declare(&mut self, name: &'t str) {
        self.order.push(name);
        *self.numbers.entry(name).or_default() += 1;
    }

    fn knows(&self, name: &str) -> bool {
        name == "$" || self.numbers.get(name).is_some_and(|number| *number > 0)
    }

    /// Forgets those after the first so many.
    fn leave(&mut self, outer: usize) {
        for name in self.order.drain(outer..) {
            if let Some(number) = self.numbers.get_mut(name) {
                *number -= 1;
            }
        }
    }
}

type Checked = Result<(), TemplateError>;

impl<'t> Check<'t> {
    /// `looped`: within a range.
    fn list(&mut self, list: &'t ListNode, looped: bool) -> Checked {
        list.nodes
            .iter()
            .try_for_each(|node| self.node(node, looped))
    }

    fn node(&mut self, node: &'t Node, looped: bool) -> Checked {
        match node {
            Node::Action(action) => self.pipe(&action.pipe),
            Node::If(branch) | Node::With(branch) => self.branch(branch, looped, looped),
            Node::Range(branch) => self.branch(branch, true, looped),
            Node::Template(call) => {
                if !self.parsed.defines.contains_key(call.name.as_str()) {
                    let name = call.name.to_string();
                    return Err(self.parsed.at(call.pos, Fault::UnknownTemplate { name }));
                }
                call.pipe.as_ref().map_or(Ok(()), |pipe| self.pipe(pipe))
            }
            Node::List(list) => self.list(list, looped),
            Node::Define(define) => self.list(&define.body, false),
            Node::Break(pos) | Node::Continue(pos) if !looped => {
                let words = "break and continue stand within a range only".to_owned();
                Err(self.parsed.at(*pos, Fault::Syntax { words }))
            }
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    /// What is declared in a branch is gone after it, and what its body declares is not there in its else.
    fn branch(&mut self, branch: &'t BranchNode, body: bool, otherwise: bool) -> Checked {
        let outer = self.variables.order.len();
        self.pipe(&branch.pipe)?;
        let declared = self.variables.order.len();
        self.list(&branch.body, body)?;
        self.variables.leave(declared);
        let rest = match &branch.else_body {
            Some(body) => self.list(body, otherwise),
            None => Ok(()),
        };
        self.variables.leave(outer);
        rest
    }

    fn pipe(&mut self, pipe: &'t PipeNode) -> Checked {
        if pipe.commands.is_empty() {
            let words = "a value is missing".to_owned();
            return Err(self.parsed.at(pipe.pos, Fault::Syntax { words }));
        }
        for (index, command) in pipe.commands.iter().enumerate() {
            self.command(command, usize::from(index > 0))?;
        }
        for name in &pipe.decl {
            if pipe.is_assign {
                self.variable(pipe.pos, name)?;
            } else {
                self.variables.declare(name);
            }
        }
        Ok(())
    }

    fn variable(&self, pos: Pos, name: &str) -> Checked {
        if self.variables.knows(name) {
            return Ok(());
        }
        let name = name.to_owned();
        Err(self.parsed.at(pos, Fault::UnknownVariable { name }))
    }

    fn command(&mut self, command: &'t CommandNode, piped: usize) -> Checked {
        let Some((first, rest)) = command.args.split_first() else {
            let words = "a value is missing".to_owned();
            return Err(self.parsed.at(command.pos, Fault::Syntax { words }));
        };
        match first {
            Expr::Identifier(pos, name) => self.call(*pos, name, rest.len() + piped)?,
            Expr::Chain(_, inner, _) => match &**inner {
                Expr::Identifier(pos, name) => self.call(*pos, name, rest.len() + piped)?,
                other => self.expression(other)?,
            },
            _ if piped + rest.len() > 0 => {
                return Err(self.parsed.at(first.pos(), Fault::NoFunction));
            }
            other => self.expression(other)?,
        }
        rest.iter()
            .try_for_each(|expression| self.expression(expression))
    }

    fn expression(&mut self, expression: &'t Expr) -> Checked {
        match expression {
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expression(inner),
            Expr::Identifier(pos, name) => self.call(*pos, name, 0),
            Expr::Variable(pos, name, _) => self.variable(*pos, name),
            Expr::String(pos, _) => self.escapes(*pos),
            Expr::Dot(_) | Expr::Field(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_) => {
                Ok(())
            }
        }
    }

    /// The parser takes a backslash that means nothing for itself; Go refuses it.
    fn escapes(&self, pos: Pos) -> Checked {
        let from = self.parsed.text.get(pos.offset..).unwrap_or_default();
        let Some(text) = from.strip_prefix('"') else {
            return Ok(());
        };
        let mut signs = text.chars();
        while let Some(sign) = signs.next().filter(|sign| *sign != '"') {
            if sign == '\\'
                && !signs
                    .next()
                    .is_some_and(|sign| "abfnrtv\\'\"xuU01234567".contains(sign))
            {
                let words =
                    "a text between quotes has a backslash that means nothing; write two of them"
                        .to_owned();
                return Err(self.parsed.at(pos, Fault::Syntax { words }));
            }
        }
        Ok(())
    }

    fn call(&self, pos: Pos, name: &str, count: usize) -> Checked {
        let Some(function) = functions::find(name) else {
            let near = functions::nearest(name).map(str::to_owned);
            let left_out = known::left_out(name);
            let name = name.to_owned();
            let fault = match left_out {
                Some(why) => Fault::LeftOut { name, why },
                None => Fault::UnknownFunction { name, near },
            };
            return Err(self.parsed.at(pos, fault));
        };
        function
            .count(count)
            .map_err(|fault| self.parsed.at(pos, fault))
    }
}
