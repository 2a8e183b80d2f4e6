// A conversation with Transcribe: each word is sent once the one before was answered, and the answers are printed.
//
//     converse WORD...
//
// Its client of HTTP is set up as the Rust tab does it.

use aws_config::BehaviorVersion;
use aws_sdk_transcribestreaming::{
    Client,
    error::ProvideErrorMetadata,
    primitives::{Blob, event_stream::EventStreamSender},
    types::{AudioEvent, AudioStream, LanguageCode, MediaEncoding, TranscriptResultStream, error::AudioStreamError},
};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use futures_channel::mpsc::unbounded;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let told = converse(std::env::args().skip(1)).await?;
    println!("{told}");
    Ok(())
}

async fn client() -> Result<Client, Failure> {
    let ca = std::fs::read(std::env::var("AWS_CA_BUNDLE")?)?;
    let trust = TrustStore::empty().with_pem_certificate(ca);
    let tls = TlsContext::builder().with_trust_store(trust).build()?;
    let http = Builder::new().build_with_connector_fn(move |settings, _| {
        let mut connector = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone());
        connector.set_connector_settings(settings.cloned());
        connector.build()
    });
    Ok(Client::new(&aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await))
}

async fn converse(mut words: impl Iterator<Item = String>) -> Result<String, Failure> {
    let (say, said) = unbounded::<Result<AudioStream, AudioStreamError>>();
    let audio = |word: String| {
        let event = AudioEvent::builder().audio_chunk(Blob::new(word)).build();
        say.unbounded_send(Ok(AudioStream::AudioEvent(event)))
    };
    if let Some(first) = words.next() {
        audio(first)?;
    }
    let begun = client()
        .await?
        .start_stream_transcription()
        .language_code(LanguageCode::EnGb)
        .media_encoding(MediaEncoding::Pcm)
        .media_sample_rate_hertz(16000)
        .audio_stream(EventStreamSender::from(said))
        .send()
        .await;
    let mut answers = match begun {
        Ok(begun) => begun.transcript_result_stream,
        Err(error) => return Ok(refused(&error)),
    };
    loop {
        match answers.recv().await {
            Ok(Some(TranscriptResultStream::TranscriptEvent(event))) => {
                let results = event.transcript.and_then(|transcript| transcript.results).unwrap_or_default();
                println!("{}", results[0].alternatives()[0].transcript().unwrap_or_default());
            }
            Ok(Some(other)) => return Err(format!("{other:?}").into()),
            Ok(None) => return Ok("ended".to_owned()),
            Err(error) => return Ok(refused(&error)),
        }
        match words.next() {
            Some(word) => audio(word)?,
            None => say.close_channel(),
        }
    }
}

fn refused(error: &(impl ProvideErrorMetadata + std::fmt::Debug)) -> String {
    if error.code().is_none() {
        return format!("broke off: {error:?}");
    }
    format!("refused: {}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
}
