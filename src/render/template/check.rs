//! What is wrong with a template whatever the values are, found before anything is asked of Vault.

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos};

use super::Parsed;
use super::error::{Fault, TemplateError};
use super::functions;

/// Functions that are not there or take another number of arguments, and templates that are not there.
pub fn check(parsed: &Parsed) -> Result<(), TemplateError> {
    let check = Check(parsed);
    check.list(&parsed.main, false)?;
    parsed
        .defines
        .values()
        .try_for_each(|body| check.list(body, false))
}

struct Check<'t>(&'t Parsed);

type Checked = Result<(), TemplateError>;

impl Check<'_> {
    /// `looped`: within a range.
    fn list(&self, list: &ListNode, looped: bool) -> Checked {
        list.nodes
            .iter()
            .try_for_each(|node| self.node(node, looped))
    }

    fn node(&self, node: &Node, looped: bool) -> Checked {
        match node {
            Node::Action(action) => self.pipe(&action.pipe),
            Node::If(branch) | Node::With(branch) => self.branch(branch, looped, looped),
            Node::Range(branch) => self.branch(branch, true, looped),
            Node::Template(call) => {
                if !self.0.defines.contains_key(call.name.as_str()) {
                    let name = call.name.to_string();
                    return Err(self.0.at(call.pos, Fault::UnknownTemplate { name }));
                }
                call.pipe.as_ref().map_or(Ok(()), |pipe| self.pipe(pipe))
            }
            Node::List(list) => self.list(list, looped),
            Node::Define(define) => self.list(&define.body, false),
            Node::Break(pos) | Node::Continue(pos) if !looped => {
                let words = "break and continue stand within a range only".to_owned();
                Err(self.0.at(*pos, Fault::Syntax { words }))
            }
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    fn branch(&self, branch: &BranchNode, body: bool, otherwise: bool) -> Checked {
        self.pipe(&branch.pipe)?;
        self.list(&branch.body, body)?;
        branch
            .else_body
            .as_ref()
            .map_or(Ok(()), |body| self.list(body, otherwise))
    }

    fn pipe(&self, pipe: &PipeNode) -> Checked {
        if pipe.commands.is_empty() {
            let words = "a value is missing".to_owned();
            return Err(self.0.at(pipe.pos, Fault::Syntax { words }));
        }
        let commands = pipe.commands.iter().enumerate();
        commands
            .into_iter()
            .try_for_each(|(index, command)| self.command(command, usize::from(index > 0)))
    }

    fn command(&self, command: &CommandNode, piped: usize) -> Checked {
        let Some((first, rest)) = command.args.split_first() else {
            let words = "a value is missing".to_owned();
            return Err(self.0.at(command.pos, Fault::Syntax { words }));
        };
        match first {
            Expr::Identifier(pos, name) => self.call(*pos, name, rest.len() + piped)?,
            Expr::Chain(_, inner, _) => match &**inner {
                Expr::Identifier(pos, name) => self.call(*pos, name, rest.len() + piped)?,
                other => self.expression(other)?,
            },
            _ if piped + rest.len() > 0 => {
                return Err(self.0.at(first.pos(), Fault::NoFunction));
            }
            other => self.expression(other)?,
        }
        rest.iter()
            .try_for_each(|expression| self.expression(expression))
    }

    fn expression(&self, expression: &Expr) -> Checked {
        match expression {
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expression(inner),
            Expr::Identifier(pos, name) => self.call(*pos, name, 0),
            Expr::Dot(_)
            | Expr::Field(..)
            | Expr::Variable(..)
            | Expr::String(..)
            | Expr::Number(..)
            | Expr::Bool(..)
            | Expr::Nil(_) => Ok(()),
        }
    }

    fn call(&self, pos: Pos, name: &str, count: usize) -> Checked {
        let Some(function) = functions::find(name) else {
            let near = functions::nearest(name).map(str::to_owned);
            let name = name.to_owned();
            return Err(self.0.at(pos, Fault::UnknownFunction { name, near }));
        };
        function.count(count).map_err(|fault| self.0.at(pos, fault))
    }
}
