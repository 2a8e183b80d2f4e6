//! Codes for whoever has lost their authenticator app: each works once.

use super::super::{Error, random};
use crate::secret::Secret;

const COUNT: usize = 10;

/// New codes, and what is kept of each. They hold 80 random bits, so that a fast hash is as good as a slow one.
pub(super) fn codes() -> Result<(Vec<Secret>, Vec<String>), Error> {
    let codes = (0..COUNT).map(|_| random::recovery_code()).collect::<Result<Vec<_>, _>>()?;
    let kept = codes.iter().map(|code| sha256(&code.expose().replace('-', ""))).collect();
    Ok((codes, kept))
}

/// Takes the code out of those that are left, if it is one of them. Hashes are compared, which tell nothing of codes.
pub(super) fn spend(left: &mut Vec<String>, code: &str) -> bool {
    let sha256 = sha256(&read(code));
    let before = left.len();
    left.retain(|kept| *kept != sha256);
    left.len() < before
}

/// What was read wrongly is put right: the codes have no letters that look like digits.
fn read(code: &str) -> String {
    let right = |letter: char| match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    code.chars().map(right).collect()
}

fn sha256(code: &str) -> String {
    random::token_sha256(&Secret::new(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_works_once_however_it_is_typed() {
        let (codes, mut kept) = codes().unwrap();
        assert_eq!((codes.len(), kept.len()), (COUNT, COUNT));
        let first = codes[0].expose();
        assert_eq!(first.len(), 19, "{first}");
        assert!(kept.iter().all(|hash| !hash.contains(&first.replace('-', ""))));
        let typed = first.replace('-', "").to_uppercase().replace('0', "O").replace('1', "L");
        assert!(spend(&mut kept, &typed));
        assert!(!spend(&mut kept, &typed));
        assert!(!spend(&mut kept, "") && !spend(&mut kept, "0000000000000000"));
        assert_eq!(kept.len(), COUNT - 1);
    }
}
