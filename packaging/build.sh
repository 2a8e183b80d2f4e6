#!/usr/bin/env bash
# packaging/build.sh: the static executable and everything that is released with it, in target/dist/release:
#
#   cloud-service-gateway_VERSION-1_ARCH.deb     for Debian and Ubuntu
#   cloud-service-gateway-VERSION-1.ARCH.rpm     for Red Hat, SUSE and their kin
#   cloud-service-gateway-VERSION-ARCH.tar.gz    plain files, for everything else
#   install.sh, SHA256SUMS
#
# The same sources and the same executable make the same bytes: all times are SOURCE_DATE_EPOCH, or else the last
# commit's. CSG_BINARY names an executable that is built already. Needs Rust; installs the two packagers with cargo.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dist=$top/target/dist
root=$dist/root # what every kind of package has
name=cloud-service-gateway
umask 022
export LC_ALL=C TZ=UTC

main() {
    cd "$top"
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
    [[ -n ${SOURCE_DATE_EPOCH:-} ]] || SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    host=$(rustc -vV | sed -n 's/^host: //p')
    arch=${host%%-*}
    if [[ -z ${CSG_BINARY:-} ]]; then
        cargo build --release --locked
        CSG_BINARY=$top/target/$host/release/csg
    fi
    need cargo-deb 3.8.0
    need cargo-generate-rpm 0.21.1
    lay_out
    rm -rf "$dist/release" && mkdir "$dist/release"
    package
}

# A subcommand of cargo, in the version with which the packages were tried.
need() {
    [[ $(cargo "${1#cargo-}" --version 2>/dev/null) == *"$2" ]] && return
    # Not here: .cargo/config.toml would have it linked statically.
    (cd / && cargo install --quiet --locked "$1@$2")
}

lay_out() {
    rm -rf "$dist" && mkdir -p "$dist"
    local share=$root/usr/share
    install -D -m 755 "$CSG_BINARY" "$root/usr/bin/csg"
    install -D -m 640 packaging/csg.toml "$root/etc/csg/csg.toml"

    cargo run --quiet --locked --example manual -- "$share/man/man1" "$(date -d "@$SOURCE_DATE_EPOCH" +%F)"
    gzip -9n "$share"/man/man1/*
    install -d "$share/bash-completion/completions" "$share/fish/vendor_completions.d"
    "$CSG_BINARY" completions bash >"$share/bash-completion/completions/csg"
    "$CSG_BINARY" completions fish >"$share/fish/vendor_completions.d/csg.fish"

    # Where zsh looks, and what a distribution wants to be told of the licence, differ.
    "$CSG_BINARY" completions zsh >"$dist/_csg"
    install -D -m 644 "$dist/_csg" "$dist/deb/usr/share/zsh/vendor-completions/_csg"
    install -D -m 644 "$dist/_csg" "$dist/rpm/usr/share/zsh/site-functions/_csg"
    install -D -m 644 packaging/deb/lintian-overrides "$dist/deb/usr/share/lintian/overrides/$name"
    install -D -m 644 LICENSE "$dist/rpm/usr/share/licenses/$name/LICENSE"

    install -D -m 644 -t "$share/doc/$name" README.md
    install -D -m 644 -t "$share/apparmor/extra-profiles" packaging/apparmor/usr.bin.csg
    install -D -m 644 -t "$share/doc/$name/docs" docs/*.md
    if [[ -d systemd ]]; then
        lay_units
    fi
    debian_changelog >"$dist/changelog"
    find "$dist" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

lay_units() {
    local unit
    for unit in systemd/*.{service,socket,timer}; do
        [[ ! -e $unit ]] || install -D -m 644 -t "$root/usr/lib/systemd/system" "$unit"
    done
    install -D -m 644 systemd/csg.sysusers "$root/usr/lib/sysusers.d/csg.conf"
    install -D -m 644 systemd/csg.tmpfiles "$root/usr/lib/tmpfiles.d/csg.conf"
    install -D -m 644 packaging/csg.catalog "$root/usr/lib/systemd/catalog/csg.catalog"
}

debian_changelog() {
    printf '%s (%s-1) stable; urgency=medium\n\n' "$name" "$version"
    printf '  * New version; CHANGELOG.md of the project tells what it brings.\n\n'
    printf ' -- %s  %s\n' "$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)" "$(date -R -d "@$SOURCE_DATE_EPOCH")"
}

package() {
    local out=$dist/release
    cargo deb --quiet --no-build --no-strip --locked --output "$out/"
    cargo generate-rpm --payload-compress gzip --output "$out/"
    plain_files >"$out/$name-$version-$arch.tar.gz"
    install -m 755 install.sh "$out/install.sh"
    (cd "$out" && sha256sum -- *.deb *.rpm *.tar.gz install.sh >SHA256SUMS)
    touch -d "@$SOURCE_DATE_EPOCH" "$out"/*
    (cd "$out" && sha256sum -- *)
}

# The same files, as install.sh lays them below a prefix: bin/, share/, lib/, and etc/.
plain_files() {
    local plain=$dist/plain
    mkdir "$plain"
    cp -a "$root/usr/." "$plain/"
    cp -a "$root/etc" "$plain/"
    install -D -m 644 "$dist/_csg" "$plain/share/zsh/site-functions/_csg"
    install -m 644 LICENSE "$plain/share/doc/$name/LICENSE"
    tar -C "$plain" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --format=ustar -cf - . | gzip -9n
}

main "$@"
