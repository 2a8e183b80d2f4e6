#!/usr/bin/env bash
# tests/packages/virtual.sh FOLDER: what virtual.py starts: FOLDER/qemu, FOLDER/vmlinuz, and FOLDER/disk.img, the disk of
# a small Debian that boots with Debian's own kernel and has AppArmor as well as SELinux. Needs root, for labels of files.
set -euo pipefail

folder=$1
new=$folder.new
root=$new/root
# The kernel for clouds has its disk's driver and its file system inside, and starts without an initial RAM disk.
include=apparmor,curl,e2fsprogs,linux-image-cloud-amd64,netbase,policycoreutils-python-utils,qemu-system-x86
include+=,selinux-policy-default,systemd-sysv

main() {
    rm -rf "$folder" "$new"
    mkdir -p "$root"
    # In memory: packages are unpacked with each file written through.
    mount -t tmpfs -o size=2g,mode=755 virtual "$root"
    trap 'umount --recursive --lazy "$root"' EXIT
    debootstrap --variant=minbase --include="$include" "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" "$root"
    take_qemu
    settle
    label
    mke2fs -q -t ext4 -O ^has_journal -d "$root" "$new/disk.img" 800M
    umount "$root"
    trap - EXIT
    rmdir "$root"
    mv "$new" "$folder"
}

# With its own libraries, so that none of them has to fit to those of this machine.
take_qemu() {
    mkdir "$new/qemu"
    mv "$root"/boot/vmlinuz-* "$new/vmlinuz"
    cp "$root"/usr/bin/qemu-system-x86_64 "$root"/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so "$new/qemu/"
    cp -rL "$root"/usr/share/qemu/{kvmvapic,linuxboot,linuxboot_dma}.bin "$root"/usr/share/seabios/*.bin "$new/qemu/"
    chroot "$root" ldd /usr/bin/qemu-system-x86_64 | grep -o '/[^ ]*' |
        while read -r library; do cp -L "$root$library" "$new/qemu/"; done
    rm -rf "$root"/usr/bin/qemu-* "$root"/usr/lib/x86_64-linux-gnu/qemu "$root"/usr/share/{qemu,seabios} "$root"/usr/lib/ipxe
}

settle() {
    rm -rf "${root:?}"/{boot,lib/modules,var/lib/apt/lists,var/cache/apt}/* "${root:?}"/usr/share/{doc,locale,man}/*
    sed -i 's/^SELINUX=.*/SELINUX=enforcing/' "$root/etc/selinux/config"
    echo '127.0.0.1 localhost gateway' >"$root/etc/hosts"
    echo gateway >"$root/etc/hostname"
    local units=$root/etc/systemd/system unit
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        fstrim.timer getty@.service getty-static.service serial-getty@.service systemd-udev-trigger.service; do
        ln -sf /dev/null "$units/$unit"
    done
    # Runs what comes from the test, a script at a time, each ended by a zero byte.
    cat >"$root/usr/local/sbin/agent" <<'AGENT'
#!/bin/bash
stty raw -echo
printf 'ready\0'
while IFS= read -r -d '' script; do
    # Through a pipe: a program that is confined can't write to any file or terminal.
    bash -c "$script" </dev/null 2>&1 | tr -d '\0'
    printf '\0%d\0' "${PIPESTATUS[0]}"
done
AGENT
    chmod 755 "$root/usr/local/sbin/agent"
    cat >"$units/agent.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=idle
StandardInput=tty
StandardOutput=tty
TTYPath=/dev/ttyS1
Environment=LC_ALL=C.UTF-8 HOME=/root
ExecStart=/usr/local/sbin/agent
UNIT
    mkdir -p "$units/multi-user.target.wants"
    ln -s ../agent.service "$units/multi-user.target.wants/"
}

# As a system with SELinux labels its files when it is installed.
label() {
    mount -t proc proc "$root/proc"
    chroot "$root" setfiles -F /etc/selinux/default/contexts/files/file_contexts /
    umount "$root/proc"
}

main
