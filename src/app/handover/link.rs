//! Messages between the two processes: JSON behind its length. Grants hold secrets, so no buffer outlives its message.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// More than the grants of any installation: a hundred thousand take a tenth of it.
const LARGEST: u32 = 1 << 30;

/// Sends `message`.
pub(super) async fn send(over: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    over.write_all(&frame(message)?).await
}

/// Waits for the next message. Not to be given up half-way: the rest of it would be taken for another.
pub(super) async fn receive<T: DeserializeOwned>(over: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = over.read_u32().await?;
    if length > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is too long"));
    }
    let mut json = Zeroizing::new(Vec::new());
    let mut bounded = over.take(length.into());
    // It grows with what comes, not with what was announced.
    bounded.read_to_end(&mut json).await?;
    if json.len() != length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&json)?)
}

/// The bytes of `message`.
pub(super) fn frame(message: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let json = Zeroizing::new(serde_json::to_vec(message)?);
    let length = u32::try_from(json.len()).ok().filter(|&length| length <= LARGEST);
    let length = length.ok_or_else(|| io::Error::other("a message that is too long"))?;
    let mut frame = Zeroizing::new(Vec::with_capacity(json.len() + 4));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&json);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_as_they_went_and_what_is_cut_short_is_told() {
        let (mut one, mut other) = tokio::io::duplex(64);
        let texts = ["", "a", &"long ".repeat(1000)].map(str::to_owned);
        let sent = texts.clone();
        let sender = tokio::spawn(async move {
            for text in &sent {
                send(&mut one, text).await.unwrap();
            }
            one.write_all(&[0, 0, 0, 9, b'"', b'c']).await.unwrap();
        });
        for text in texts {
            assert_eq!(receive::<String>(&mut other).await.unwrap(), text);
        }
        assert_eq!(receive::<String>(&mut other).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        sender.await.unwrap();

        let (mut one, mut other) = tokio::io::duplex(64);
        one.write_u32(LARGEST + 1).await.unwrap();
        assert_eq!(receive::<String>(&mut other).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
