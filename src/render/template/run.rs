//! The carrying out of a template, step by step over what was read.
//!
//! It does what Go's `text/template` does, and is stricter in three things: what is not there is an error, `null` is never written, and everything counts
//! against a budget.

mod fields;

use gotmpl::Value;
use gotmpl::parse::{
    BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, Pos, SmolStr, TemplateNode,
};

use super::Parsed;
use super::budget::{Budget, Output};
use super::error::{Fault, TemplateError};
use super::functions::{self, Args};
use super::value::{bytes, is_true, text, type_of};
use crate::sensitive::SecretBytes;

/// One carrying out.
pub struct Run<'t> {
    parsed: &'t Parsed,
    root: &'t Value,
    /// Those that were declared, the innermost last.
    variables: Vec<(SmolStr, Value)>,
    budget: Budget,
    output: Output,
}

/// How a part of a template ended.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

type Outcome<T> = Result<T, TemplateError>;

impl<'t> Run<'t> {
    /// `left`: how many bytes all templates of the object may still go through.
    pub fn new(parsed: &'t Parsed, root: &'t Value, left: usize) -> Self {
        Self {
            parsed,
            root,
            variables: vec![(SmolStr::new_static("$"), root.clone())],
            budget: Budget::new(left),
            output: Output::default(),
        }
    }

    /// From the beginning to the end. Also tells what is left for other templates.
    pub fn whole(mut self) -> (Outcome<SecretBytes>, usize) {
        let parsed = self.parsed;
        let ended = self.list(&parsed.main, self.root);
        let room = self.budget.room();
        let whole = ended.map(|_| SecretBytes::new(self.output.0.to_vec()));
        (whole, room)
    }

    fn list(&mut self, list: &ListNode, dot: &Value) -> Outcome<Flow> {
        for node in &list.nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Outcome<Flow> {
        match node {
            Node::Text(text) => {
                let pushed = self.output.push(text.text.as_bytes());
                self.at(text.pos, pushed)?;
            }
            Node::Action(action) => {
                self.step(action.pos)?;
                let value = self.pipe(&action.pipe, dot)?;
                if action.pipe.decl.is_empty() {
                    let written = self.write(&value);
                    self.at(action.pipe.pos, written)?;
                }
            }
            Node::If(branch) | Node::With(branch) => {
                let with = matches!(node, Node::With(_));
                return self.scoped(branch.pos, |run| run.branch(branch, dot, with));
            }
            Node::Range(branch) => {
                return self.scoped(branch.pos, |run| run.range(branch, dot));
            }
            Node::Template(call) => self.template(call, dot)?,
            Node::List(list) => return self.list(list, dot),
            Node::Define(_) => {}
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Nil => Err(Fault::Null),
            Value::String(text) => self.output.push(text.as_bytes()),
            Value::Function(_) => self.output.push(&bytes(value).unwrap_or_default()),
            other => {
                self.budget.value(other)?;
                self.output.push(text(other).as_bytes())
            }
        }
    }

    /// What is declared inside is gone afterwards.
    fn scoped(
        &mut self,
        pos: Pos,
        inside: impl FnOnce(&mut Self) -> Outcome<Flow>,
    ) -> Outcome<Flow> {
        let outer = self.variables.len();
        let entered = self.budget.enter();
        self.at(pos, entered)?;
        let flow = inside(self);
        self.budget.leave();
        self.variables.truncate(outer);
        flow
    }

    fn branch(&mut self, branch: &BranchNode, dot: &Value, with: bool) -> Outcome<Flow> {
        self.step(branch.pos)?;
        let value = self.pipe(&branch.pipe, dot)?;
        match (&branch.else_body, is_true(&value)) {
            (_, true) => self.list(&branch.body, if with { &value } else { dot }),
            (Some(body), false) => self.list(body, dot),
            (None, false) => Ok(Flow::Next),
        }
    }

    fn range(&mut self, branch: &BranchNode, dot: &Value) -> Outcome<Flow> {
        self.step(branch.pos)?;
        let value = self.commands(&branch.pipe, dot)?;
        let inner = self.variables.len();
        let mut turns = 0;
        let mut turn = |run: &mut Self, key: Value, value: &Value| {
            turns += 1;
            run.step(branch.pos)?;
            run.variables.truncate(inner);
            match branch.pipe.decl.as_slice() {
                [] => {}
                [one] => run.declare(one, value.clone(), &branch.pipe)?,
                [first, second, ..] => {
                    run.declare(first, key, &branch.pipe)?;
                    run.declare(second, value.clone(), &branch.pipe)?;
                }
            }
            run.list(&branch.body, value)
        };
        match &value {
            Value::List(elements) => {
                for (index, element) in (0_i64..).zip(elements.iter()) {
                    if turn(self, Value::Int(index), element)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(members) => {
                for (name, member) in members.iter() {
                    if turn(self, Value::String(name.clone()), member)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Int(_) if branch.pipe.decl.len() > 1 => {
                return self.fail(branch.pipe.pos, Fault::Counted);
            }
            Value::Int(count) => {
                for index in 0..*count {
                    if turn(self, Value::Int(index), &Value::Int(index))? == Flow::Break {
                        break;
                    }
                }
            }
            other => {
                let got = type_of(other);
                return self.fail(branch.pipe.pos, Fault::NotIterable { got });
            }
        }
        match (&branch.else_body, turns) {
            (Some(body), 0) => self.list(body, dot),
            (Some(_) | None, _) => Ok(Flow::Next),
        }
    }

    fn template(&mut self, call: &TemplateNode, dot: &Value) -> Outcome<()> {
        self.step(call.pos)?;
        let dot = match &call.pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        let parsed = self.parsed;
        let Some(body) = parsed.defines.get(call.name.as_str()) else {
            let name = call.name.to_string();
            return self.fail(call.pos, Fault::UnknownTemplate { name });
        };
        let entered = self.budget.enter();
        self.at(call.pos, entered)?;
        let own = vec![(SmolStr::new_static("$"), dot.clone())];
        let outer = std::mem::replace(&mut self.variables, own);
        self.list(body, &dot)?;
        self.variables = outer;
        self.budget.leave();
        Ok(())
    }

    fn pipe(&mut self, pipe: &PipeNode, dot: &Value) -> Outcome<Value> {
        let value = self.commands(pipe, dot)?;
        if let [name] = pipe.decl.as_slice() {
            self.declare(name, value.clone(), pipe)?;
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &PipeNode, dot: &Value) -> Outcome<Value> {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.unwrap_or(Value::Nil))
    }

    fn declare(&mut self, name: &SmolStr, value: Value, pipe: &PipeNode) -> Outcome<()> {
        if pipe.is_assign {
            return self.assign(name, value, pipe.pos);
        }
        self.variables.push((name.clone(), value));
        Ok(())
    }

    fn assign(&mut self, name: &SmolStr, value: Value, pos: Pos) -> Outcome<()> {
        let index = self.variable(name, pos)?;
        if let Some((_, slot)) = self.variables.get_mut(index) {
            *slot = value;
        }
        Ok(())
    }

    fn command(
        &mut self,
        command: &CommandNode,
        dot: &Value,
        piped: Option<Value>,
    ) -> Outcome<Value> {
        let Some((first, rest)) = command.args.split_first() else {
            return Ok(Value::Nil);
        };
        match first {
            Expr::Identifier(pos, name) => self.call((*pos, name), rest, dot, piped),
            Expr::Chain(pos, inner, fields) if matches!(**inner, Expr::Identifier(..)) => {
                let Expr::Identifier(at, name) = &**inner else {
                    return Ok(Value::Nil);
                };
                let value = self.call((*at, name), rest, dot, piped)?;
                self.fields(*pos, value, "", fields)
            }
            _ if piped.is_some() || !rest.is_empty() => self.fail(first.pos(), Fault::NoFunction),
            other => self.expression(other, dot),
        }
    }

    /// Where the youngest variable of that name is. Each one that is younger is walked past.
    fn variable(&mut self, name: &SmolStr, pos: Pos) -> Outcome<usize> {
        let found = self.variables.iter().rposition(|(known, _)| known == name);
        let Some(index) = found else {
            let name = name.to_string();
            return self.fail(pos, Fault::UnknownVariable { name });
        };
        let passed = self.budget.variables(self.variables.len() - index);
        self.at(pos, passed)?;
        Ok(index)
    }

    fn expression(&mut self, expression: &Expr, dot: &Value) -> Outcome<Value> {
        let fields = match expression {
            Expr::Field(_, fields) | Expr::Variable(_, _, fields) | Expr::Chain(_, _, fields) => {
                fields.len()
            }
            _ => 0,
        };
        let counted = self.budget.expression(fields);
        self.at(expression.pos(), counted)?;
        match expression {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Field(pos, fields) => self.fields(*pos, dot.clone(), "", fields),
            Expr::Variable(pos, name, fields) => {
                let index = self.variable(name, *pos)?;
                let value = self.variables.get(index).map(|(_, value)| value.clone());
                self.fields(*pos, value.unwrap_or(Value::Nil), name, fields)
            }
            Expr::Identifier(pos, name) => self.call((*pos, name), &[], dot, None),
            Expr::String(_, text) => Ok(Value::String(text.clone())),
            Expr::Number(_, Number::Int(number)) => Ok(Value::Int(*number)),
            Expr::Number(_, Number::Uint(number)) => Ok(Value::Uint(*number)),
            Expr::Number(_, Number::Float(number)) => Ok(Value::Float(*number)),
            Expr::Bool(_, value) => Ok(Value::Bool(*value)),
            Expr::Nil(_) => Ok(Value::Nil),
            Expr::Pipe(_, pipe) => self.pipe(pipe, dot),
            Expr::Chain(pos, inner, fields) => {
                let value = self.expression(inner, dot)?;
                self.fields(*pos, value, "(…)", fields)
            }
        }
    }

    fn call(
        &mut self,
        (pos, name): (Pos, &SmolStr),
        rest: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Outcome<Value> {
        self.step(pos)?;
        if name == "and" || name == "or" {
            return self.either(name == "or", rest, dot, piped);
        }
        let mut values = Vec::with_capacity(rest.len() + 1);
        for expression in rest {
            values.push(self.expression(expression, dot)?);
        }
        values.extend(piped);
        let Some(function) = functions::find(name) else {
            let name = name.to_string();
            let unknown = Fault::UnknownFunction { name, near: None };
            return self.fail(pos, unknown);
        };
        let spoken = match rest.first() {
            Some(Expr::String(_, text)) => Some(&**text),
            _ => None,
        };
        let weighed = values.iter().try_for_each(|value| self.budget.value(value));
        self.at(pos, weighed)?;
        let made = Args::new(function, &values, spoken, &mut self.budget)
            .and_then(|mut args| (function.body)(&mut args));
        let value = self.at(pos, made)?;
        let weighed = self.budget.value(&value);
        self.at(pos, weighed)?;
        // In Go these change the dict itself. Here values never change, so the variable gets the new one.
        if let (true, Some(Expr::Variable(_, variable, fields))) = (function.changes, rest.first())
            && fields.is_empty()
        {
            self.assign(variable, value.clone(), pos)?;
        }
        Ok(value)
    }

    /// `and` and `or` look at no more arguments than they need.
    fn either(
        &mut self,
        or: bool,
        rest: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Outcome<Value> {
        let mut last = Value::Nil;
        for expression in rest {
            last = self.expression(expression, dot)?;
            if is_true(&last) == or {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    fn step(&mut self, pos: Pos) -> Outcome<()> {
        let stepped = self.budget.step();
        self.at(pos, stepped)
    }

    fn at<T>(&self, pos: Pos, result: Result<T, Fault>) -> Outcome<T> {
        result.map_err(|fault| self.parsed.at(pos, fault))
    }

    fn fail<T>(&self, pos: Pos, fault: Fault) -> Outcome<T> {
        Err(self.parsed.at(pos, fault))
    }
}
