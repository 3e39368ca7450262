//! ConfigMaps with templates, as far as they are kept: their texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;

/// The longest text that is kept, in bytes: the longest template there is. Whoever may write ConfigMaps decides how many there are, so nothing
/// is kept of them that cannot be used.
pub const MAX_TEMPLATE_BYTES: usize = 4 * 32_768;

/// The texts of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateTexts {
    /// Resource version: whether it is another one than it was.
    pub resource_version: String,
    /// The texts, by their keys.
    pub texts: BTreeMap<String, Arc<str>>,
    /// The keys of those that are too long.
    pub too_long: BTreeSet<String>,
}

impl TemplateTexts {
    /// Reduces a ConfigMap to its texts. Binary data is no template.
    pub fn reduce(object: ConfigMap) -> Self {
        let resource_version = object.metadata.resource_version.unwrap_or_default();
        Self::of(resource_version, object.data.unwrap_or_default())
    }

    /// Those of the texts that may be used.
    pub fn of(resource_version: String, texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut reduced = Self {
            resource_version,
            ..Self::default()
        };
        for (key, text) in texts {
            if text.len() > MAX_TEMPLATE_BYTES {
                reduced.too_long.insert(key);
            } else {
                reduced.texts.insert(key, text.into());
            }
        }
        reduced
    }
}
