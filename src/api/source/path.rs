//! What the paths of several kinds of sources have in common.

/// CEL rule for a path without empty segments.
pub const NO_EMPTY_SEGMENT: &str = "!self.contains('//')";

/// What to do about a text that breaks [`NO_EMPTY_SEGMENT`].
pub const NO_EMPTY_SEGMENT_FIX: &str = "must not contain an empty segment (//)";

/// CEL rule for a path without segments that lead elsewhere.
pub const NO_DOTS: &str = "!self.split('/').exists(s, s == '.' || s == '..')";

/// What to do about a text that breaks [`NO_DOTS`].
pub const NO_DOTS_FIX: &str = "must not contain . or .. as a segment";

/// CEL rule for a path that is written as it is.
pub const AS_IT_IS: &str = r"!self.matches('[%?#\\\\\\x00-\\x1f\\x7f]')";

/// What to do about a text that breaks [`AS_IT_IS`].
pub const AS_IT_IS_FIX: &str =
    "must not contain %, ?, #, \\ or control characters; write the path as it is, unescaped";

/// CEL rule for the mount of an engine, or none.
pub const MOUNT: &str =
    r"self == '' || self.matches('^[^/%?#\\\\\\x00-\\x1f\\x7f]+(/[^/%?#\\\\\\x00-\\x1f\\x7f]+)*$')";

/// What to do about a text that breaks [`MOUNT`].
pub const MOUNT_FIX: &str = "must be a mount such as secret or teams/shop, without slashes at the ends and without %, ?, #, \\ or control characters";

/// CEL rule for a mount that is none of Vault's own.
pub const NO_SYSTEM_MOUNT: &str =
    "!self.split('/').exists(s, s in ['sys', 'auth', 'identity', 'cubbyhole'])";

/// What to do about a text that breaks [`NO_SYSTEM_MOUNT`].
pub const NO_SYSTEM_MOUNT_FIX: &str =
    "must be the mount of a KV engine, not sys, auth, identity or cubbyhole";
