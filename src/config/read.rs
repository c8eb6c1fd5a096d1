//! How single values are read. Every message says what was expected, since the place is known to the caller.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error};

/// "90s", "15m", "24h", "30d".
pub(super) fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_span(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "expected a span of time such as \"15m\", \"24h\" or \"30d\", found \"{text}\""
        ))
    })
}

pub(super) fn some_span<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    span(from).map(Some)
}

fn parse_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// Networks; a bare address is a network of one.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    Vec::<String>::deserialize(from)?
        .iter()
        .map(|text| {
            let text = text.trim();
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map(|net| net.trunc())
                .map_err(|_| {
                    D::Error::custom(format!(
                        "expected a network such as \"10.0.0.0/8\", or an address, found \"{text}\""
                    ))
                })
        })
        .collect()
}

/// An http or https address without query and without a slash at the end.
pub(super) fn base_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let url = url::Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
    });
    match url {
        Some(url) => Ok(Some(url.origin().ascii_serialization())),
        None => Err(D::Error::custom(
            "expected scheme and host alone, such as \"https://comments.example.org\"",
        )),
    }
}

/// The scheme only: the rest is the driver's, and may be secret.
pub(super) fn database_url<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SecretString>, D::Error> {
    let text = String::deserialize(from)?;
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        Ok(Some(text.into()))
    } else {
        Err(D::Error::custom(
            "expected \"sqlite:PATH\" or \"postgres://USER:PASSWORD@HOST/NAME\"",
        ))
    }
}

/// Directives as in `RUST_LOG`.
pub(super) fn level<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match text.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) if !text.trim().is_empty() => Ok(text),
        _ => Err(D::Error::custom(
            "expected error, warn, info, debug or trace, or directives such as \"info,sqlx=warn\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        let minutes = |n: u64| Some(Duration::from_secs(n * 60));

        assert_eq!(parse_span("15m"), minutes(15));
        assert_eq!(parse_span(" 2 h "), minutes(120));
        assert_eq!(parse_span("0s"), minutes(0));
        assert_eq!(parse_span("1d"), minutes(24 * 60));
        for bad in [
            "",
            "15",
            "m",
            "-1m",
            "1.5h",
            "15 minutes",
            "99999999999999999999d",
            "²m",
        ] {
            assert_eq!(parse_span(bad), None, "{bad:?}");
        }
    }
}
