//! Which program has the port that we want: as far as this machine lets us see.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// The program that listens where `address` can't be listened on: `nginx (process 123)`.
pub(super) fn holder(address: SocketAddr, cause: &io::Error) -> Option<String> {
    if cause.kind() != io::ErrorKind::AddrInUse {
        return None;
    }
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let inode = tables.into_iter().find_map(|table| listener(&fs::read_to_string(table).ok()?, address))?;
    let link = format!("socket:[{inode}]");
    let process = fs::read_dir("/proc").ok()?.filter_map(Result::ok).find(|process| {
        // Not "self", by which it could be found, too.
        if process.file_name().to_str().is_none_or(|name| name.parse::<u32>().is_err()) {
            return false;
        }
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().filter_map(Result::ok);
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target == Path::new(&link))
    })?;
    let name = fs::read_to_string(process.path().join("comm")).ok()?;
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    Some(format!("{name} (process {})", process.file_name().to_str()?))
}

/// The inode of the socket that is in the way, in a table of `proc_pid_net(5)`.
fn listener(table: &str, address: SocketAddr) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (bound, port) = fields.get(1)?.split_once(':')?;
        let bound = address_of(bound)?.to_canonical();
        let wanted = address.ip().to_canonical();
        let is_same = bound == wanted || bound.is_unspecified() || wanted.is_unspecified();
        let listens = *fields.get(3)? == "0A";
        (listens && is_same && u16::from_str_radix(port, 16).ok()? == address.port())
            .then(|| fields.get(9).map(|&inode| inode.to_owned()))?
    })
}

/// As the kernel writes them: words of 32 bits, each in the machine's own order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let bytes = hex::decode(hex).ok()?;
    let words = bytes.chunks_exact(4).map(|word| {
        let word = word.try_into().map(u32::from_be_bytes).unwrap_or_default();
        word.to_ne_bytes()
    });
    let bytes: Vec<u8> = words.flatten().collect();
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn finds_the_socket_in_the_way() {
        let heading =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let line = |bound: &str, state: &str| {
            format!(
                "   0: {bound} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
            )
        };
        let loopback = if cfg!(target_endian = "little") { "0100007F" } else { "7F000001" };
        for (bound, state, wanted, found) in [
            (format!("{loopback}:0C38"), "0A", "127.0.0.1:3128", true),
            (format!("{loopback}:0C38"), "0A", "0.0.0.0:3128", true),
            (format!("{loopback}:0C38"), "01", "127.0.0.1:3128", false),
            (format!("{loopback}:0C39"), "0A", "127.0.0.1:3128", false),
            (format!("{loopback}:0C38"), "0A", "127.0.0.2:3128", false),
            ("00000000:0C38".into(), "0A", "127.0.0.1:3128", true),
            ("00000000000000000000000000000000:0C38".into(), "0A", "127.0.0.1:3128", true),
            ("nonsense".into(), "0A", "127.0.0.1:3128", false),
        ] {
            let told = listener(&format!("{heading}{}", line(&bound, state)), wanted.parse().unwrap());
            assert_eq!(told.as_deref(), found.then_some("4711"), "{bound} {state} {wanted}");
        }
    }

    #[test]
    fn names_the_program() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let told = holder(address, &TcpListener::bind(address).unwrap_err()).unwrap();
        assert!(told.ends_with(&format!("(process {})", std::process::id())), "{told}");
    }
}
