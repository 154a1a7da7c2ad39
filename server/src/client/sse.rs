//! Server-sent events, for servers that answer so.

/// The data of each event in a stream that has ended (HTML standard, "Event stream interpretation").
pub fn data(stream: &str) -> impl Iterator<Item = String> + '_ {
    let mut lines = stream.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    std::iter::from_fn(move || {
        let mut data: Option<String> = None;
        for line in lines.by_ref() {
            if line.is_empty() {
                if data.is_some() {
                    return data;
                }
                continue;
            }
            if let Some(value) = line.strip_prefix("data:") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                match &mut data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => data = Some(value.to_owned()),
                }
            }
        }
        data
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn events_are_told_apart() {
        let stream = ": comment\n\nid: 1\ndata: a\ndata:b\n\nevent: x\r\ndata: c\r\n\r\ndata: last";
        assert_eq!(super::data(stream).collect::<Vec<_>>(), ["a\nb", "c", "last"]);
    }
}
