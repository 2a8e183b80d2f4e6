//! JSON as every parser reads it: what is cut short, goes on behind its end, or is no UTF-8 is a doubt.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::{
    Doubt,
    value::{Allowance, Value},
};

/// Reads a whole body; one of no length has no members.
pub(super) fn read(body: &[u8]) -> Result<Value<'_>, Doubt> {
    if body.is_empty() {
        return Ok(Value::Members(Vec::new()));
    }
    // It keeps to a depth of its own.
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut allowance = Allowance::default();
    let value = Reader(&mut allowance).deserialize(&mut json).map_err(|_| Doubt)?;
    json.end().map_err(|_| Doubt)?;
    Ok(value)
}

struct Reader<'a>(&'a mut Allowance);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        self.0.take().map_err(|Doubt| D::Error::custom("too many values"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Reader(self.0))? {
            all.push(item);
        }
        Ok(Value::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some(Key(key)) = members.next_key()? {
            all.push((key, members.next_value_seed(Reader(self.0))?));
        }
        Ok(Value::Members(all))
    }
}

/// Borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Key<'b>(#[serde(borrow)] Cow<'b, str>);

#[cfg(test)]
mod tests {
    use super::{super::value::MOST_VALUES, *};

    #[test]
    fn what_is_not_json_to_every_parser_is_a_doubt() {
        for body in [
            "{\"Name\":\"a\"",
            "{\"Name\":\"a\"}{\"Name\":\"b\"}",
            "{\"Name\":\"a\"}\0",
            "{'Name':'a'}",
            "{Name:\"a\"}",
            "{\"Name\":\"a\",}",
            "{\"Name\":\"a\"}//",
            "\u{feff}{\"Name\":\"a\"}",
            "{\"Name\":\"\\ud800\"}",
            "{\"Name\":\"a\nb\"}",
            "{\"Name\":NaN}",
            " ",
        ] {
            assert_eq!(read(body.as_bytes()), Err(Doubt), "{body:?}");
        }
        assert_eq!(read(b"{\"Name\":\"\xc0\xaf\"}"), Err(Doubt));
        assert_eq!(read(&b"{\"Name\":\"a\"}".iter().flat_map(|&byte| [byte, 0]).collect::<Vec<_>>()), Err(Doubt));
        assert_eq!(read(b""), Ok(Value::Members(Vec::new())));
        assert_eq!(read(b" {} \r\n"), Ok(Value::Members(Vec::new())));
    }

    #[test]
    fn no_body_costs_more_than_is_allowed() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(deep.as_bytes()), Err(Doubt));
        let wide = |count: u32| format!("[{}0]", "0,".repeat(count as usize - 2));
        assert!(read(wide(MOST_VALUES).as_bytes()).is_ok());
        assert_eq!(read(wide(MOST_VALUES + 1).as_bytes()), Err(Doubt));
    }
}
