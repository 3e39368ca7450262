//! Bulk copies: which fields of a source become keys of the Secret, under which names, and how they are read.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bulk copy: fields of a source become keys of the Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct DataFrom {
    /// The source to copy.
    #[schemars(length(min = 1, max = 31))]
    pub source: String,

    /// Which fields to copy: regular expressions of the class of RE2, of which one must match the whole name. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    pub include: Vec<String>,

    /// Which of these to leave out: expressions of the same kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    pub exclude: Vec<String>,

    /// How a field's name becomes the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<Rename>,

    /// How the texts of the fields are written in Vault: `Base64` and `Base64URL` are decoded.
    #[serde(default, skip_serializing_if = "Decode::is_none")]
    pub decode: Decode,
}

/// How a field's name becomes the key.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.match) == has(self.replace)").message("set match and replace together; to take a piece away, replace it with an empty text"))]
#[x_kube(validation = Rule::new("has(self.match) || (has(self.case) && self.case != 'None')").message("set match and replace, or case, or leave rename out"))]
pub struct Rename {
    /// What to look for in the name, as often as it is there: a regular expression of the class of RE2.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub find: Option<String>,

    /// What to put in its place: `$1` or `${1}` is the first group, `$name` or `${name}` a named one, and `$$` a dollar sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub replace: Option<String>,

    /// What becomes of the letters of the result.
    #[serde(default, skip_serializing_if = "Case::is_none")]
    pub case: Case,
}

/// What becomes of letters.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Case {
    /// They stay as they are.
    #[default]
    None,
    /// They become capitals.
    Upper,
    /// They become small.
    Lower,
}

/// How a text is written in Vault.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Decode {
    /// As it is.
    #[default]
    None,
    /// In Base64, with or without padding; line ends are passed over.
    Base64,
    /// In Base64 with `-` and `_`, with or without padding; line ends are passed over.
    #[serde(rename = "Base64URL")]
    Base64Url,
}

impl Case {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl Decode {
    /// Whether nothing is decoded.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}
