//! What people know from elsewhere, and what became of it here: every function of sprig and of External Secrets.

/// All functions of sprig 3. A test asks sprig itself for them.
pub const SPRIG: &str = "abbrev abbrevboth add add1 add1f addf adler32sum ago all any append atoi b32dec b32enc b64dec b64enc base bcrypt biggest buildCustomCert camelcase cat ceil chunk clean coalesce compact concat contains date dateInZone dateModify date_in_zone date_modify decryptAES deepCopy deepEqual default derivePassword dict dig dir div divf duration durationRound empty encryptAES env expandenv ext fail first float64 floor fromJson genCA genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey get getHostByName has hasKey hasPrefix hasSuffix hello htmlDate htmlDateInZone htpasswd indent initial initials int int64 isAbs join kebabcase keys kindIs kindOf last list lower max maxf merge mergeOverwrite min minf mod mul mulf mustAppend mustChunk mustCompact mustDateModify mustDeepCopy mustFirst mustFromJson mustHas mustInitial mustLast mustMerge mustMergeOverwrite mustPrepend mustPush mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexSplit mustRest mustReverse mustSlice mustToDate mustToJson mustToPrettyJson mustToRawJson mustUniq mustWithout must_date_modify nindent nospace now omit osBase osClean osDir osExt osIsAbs pick pluck plural prepend push quote randAlpha randAlphaNum randAscii randBytes randInt randNumeric regexFind regexFindAll regexMatch regexQuoteMeta regexReplaceAll regexReplaceAllLiteral regexSplit repeat replace rest reverse round semver semverCompare seq set sha1sum sha256sum sha512sum shuffle slice snakecase sortAlpha split splitList splitn squote sub subf substr swapcase ternary title toDate toDecimal toJson toPrettyJson toRawJson toString toStrings trim trimAll trimPrefix trimSuffix trimall trunc tuple typeIs typeIsLike typeOf uniq unixEpoch unset until untilStep untitle upper urlJoin urlParse uuidv4 values without wrap wrapWith";

/// All functions that External Secrets has beside those of sprig.
pub const EXTERNAL_SECRETS: &str = "certSANs filterCertChain filterPEM fromProperties fromYaml fullPemToPkcs12 fullPemToPkcs12Pass getSecretKey hexdec jwkPrivateKeyPem jwkPublicKeyPem pemToPkcs12 pemToPkcs12Pass pemTruststoreToPKCS12 pemTruststoreToPKCS12Pass pkcs12cert pkcs12certPass pkcs12key pkcs12keyPass rsaDecrypt toYaml";

/// Functions, several with spaces between, that are here and do something otherwise than where people know them from.
pub const DIFFERS: &[(&str, &str)] = &[
    (
        "atoi int int64 float64 toDecimal",
        "What is no number is refused, and is not 0.",
    ),
    (
        "add add1 sub mul",
        "What does not fit into 64 bits is refused.",
    ),
    (
        "b64dec b32dec hexdec",
        "What cannot be decoded is refused; there it becomes the text of an error.",
    ),
    (
        "fromJson fromYaml",
        "What cannot be read is refused, and numbers keep their digits.",
    ),
    (
        "toJson toPrettyJson mustToJson mustToPrettyJson",
        "`<`, `>` and `&` are not escaped.",
    ),
    ("dict", "A name without a value is refused."),
    (
        "set unset merge mergeOverwrite mustMerge mustMergeOverwrite",
        "They give a new dict, which the variable of the first argument becomes; nothing else changes.",
    ),
    ("keys values", "In the order of the names, and not in any."),
    ("slice mustSlice", "Takes a text as well."),
    (
        "trunc substr abbrev abbrevboth wrapWith",
        "A part that would begin or end inside of a character is refused.",
    ),
    ("snakecase", "Digits stay with the word before them."),
    (
        "regexMatch regexFind regexFindAll regexReplaceAll regexReplaceAllLiteral regexSplit",
        "An expression that is none is refused.",
    ),
    ("fail", "Its words are shown if they stand between quotes."),
    (
        "typeOf kindOf",
        "There is one kind of whole numbers, `int`.",
    ),
    (
        "date dateInZone date_in_zone htmlDate htmlDateInZone",
        "A text with a time is taken as well; what is no time, and a zone that is not known, are refused. The local zone is UTC.",
    ),
    (
        "toDate mustToDate dateModify date_modify mustDateModify must_date_modify",
        "A time is a text, `2030-01-31T12:00:00Z`, in UTC.",
    ),
    (
        "duration durationRound",
        "What is no duration is refused, and is not 0.",
    ),
    ("urlParse", "An address has a scheme and a host."),
    (
        "pemToPkcs12 pemToPkcs12Pass fullPemToPkcs12 fullPemToPkcs12Pass pemTruststoreToPKCS12 pemTruststoreToPKCS12Pass",
        "Salts are derived, so that the same sources make the same bytes.",
    ),
    (
        "pkcs12key pkcs12keyPass pkcs12cert pkcs12certPass",
        "Base64 is taken as well as bytes.",
    ),
    (
        "jwkPublicKeyPem",
        "Of a private key it gives the public one.",
    ),
];

/// Functions, several with spaces between, that are not here, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    (
        "now ago",
        "There is no clock: the same sources make the same Secret.",
    ),
    (
        "randAlpha randAlphaNum randAscii randBytes randInt randNumeric shuffle uuidv4",
        "There is no randomness: each sync would make another Secret. Vault has password policies and `sys/tools/random`.",
    ),
    (
        "genCA genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey buildCustomCert",
        "There is no randomness; a source of the kind `pki` has Vault issue certificates, and replaces them in time.",
    ),
    (
        "bcrypt htpasswd encryptAES",
        "They take a random salt or vector, so each sync would make another Secret. Keep the hash in Vault, beside the password.",
    ),
    (
        "decryptAES",
        "Keep in Vault what it decrypts, or read it by `transit`.",
    ),
    (
        "derivePassword",
        "Its derivation is meant for a master password in a person's head. Keep the password in Vault.",
    ),
    (
        "env expandenv",
        "The environment is the operator's, and none of the namespace's business.",
    ),
    ("getHostByName", "There is no network, and names change."),
    ("hello", "It says hello."),
    (
        "getSecretKey",
        "It reads other Secrets. Name what is needed as a source.",
    ),
    (
        "rsaDecrypt",
        "There is no library without a known weakness in the time that it takes. Vault's `transit` decrypts.",
    ),
    ("fromProperties", "Keep the fields in Vault as fields."),
];

/// Why a function is not here.
pub fn left_out(name: &str) -> Option<&'static str> {
    among(LEFT_OUT, name)
}

/// What a function does otherwise.
pub fn differs(name: &str) -> Option<&'static str> {
    among(DIFFERS, name)
}

fn among(table: &'static [(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    let mut rows = table.iter();
    let row = rows.find(|(names, _)| names.split(' ').any(|known| known == name));
    row.map(|(_, words)| *words)
}
