#!/bin/sh
# install.sh: installs Cloud Service Gateway, or the new version of it, from the folder of a release or from its sources.
#
#   --prefix DIR     plain files below DIR; without root: your own gateway, all of it below DIR
#   --as KIND        deb, rpm or files, instead of what this system uses
#   --dry-run        say what would be done, and do nothing
#   --yes            don't ask
#   --uninstall      remove the program; data and configuration stay
#   --purge          with --uninstall: data, configuration and user go too
#
# May be run again at any time: what is done is left, what was interrupted is completed. Root is needed for a gateway of
# the whole machine, and taken with sudo only for the steps that need it.
set -eu
umask 022
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

name=cloud-service-gateway
prefix='' kind='' dry_run='' yes='' uninstall='' purge='' temporary='' part=''

main() {
    read_arguments "$@"
    trap clean_up EXIT
    trap 'exit 130' HUP INT TERM
    choose_folders
    if [ "$uninstall" ]; then
        remove
    else
        find_release
        choose_kind
        tell_plan
        agree
        make_release
        had_data=$($as_root sh -c "[ ! -e '$data/csg.redb' ] || echo yes")
        "install_$kind"
        tell_next_steps
    fi
}

read_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --prefix | --as)
            [ $# -ge 2 ] || wrong "$1 needs a value"
            if [ "$1" = --as ]; then kind=$2; else prefix=$2; fi
            shift
            ;;
        --prefix=*) prefix=${1#*=} ;;
        --as=*) kind=${1#*=} ;;
        --dry-run) dry_run=yes ;;
        --yes) yes=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    case $prefix in
    "" | /*) ;;
    *) wrong "--prefix needs a path that begins with /, not '$prefix'" ;;
    esac
    # The path is written into files of systemd and TOML.
    case $prefix in
    *[!A-Za-z0-9/._-]*) wrong "--prefix takes letters, digits and / . _ - only" ;;
    esac
    case $kind in
    "" | deb | rpm | files) ;;
    *) wrong "--as takes deb, rpm or files, not '$kind'" ;;
    esac
    [ -z "$prefix" ] || [ "${kind:-files}" = files ] || wrong "a $kind has its own places: leave out --prefix"
    [ -z "$purge" ] || [ "$uninstall" ] || wrong "--purge goes with --uninstall"
    [ -z "$prefix" ] || kind=files
    prefix=${prefix%/}
}

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }

# Whose gateway is it, and where do its things go?
choose_folders() {
    owner=machine as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if [ "$prefix" ]; then
            owner=me
        elif command -v sudo >/dev/null; then
            as_root=sudo
        elif [ -z "$dry_run" ]; then
            fail "needs root: run it as root, or with --prefix \$HOME/csg for a gateway of your own"
        fi
    fi
    if [ $owner = me ]; then
        etc=$prefix/etc/csg data=$prefix/var/lib/csg logs=
    else
        prefix=${prefix:-/usr/local}
        etc=/etc/csg data=/var/lib/csg logs=/var/log/csg
    fi
    # Where systemd looks for what is no distribution's.
    case $prefix in
    /usr) lib=/usr/lib ;;
    *) lib=/usr/local/lib ;;
    esac
    list=$prefix/share/$name/installed-files
}

# --- What there is to install ---------------------------------------------------------------------------------------

find_release() {
    here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    sources=
    if [ -e "$here/SHA256SUMS" ]; then
        release=$here
    elif [ -e "$here/packaging/build.sh" ]; then
        sources=$here release=$here/target/dist/release
    else
        fail "$here has neither SHA256SUMS, as a release has, nor packaging/build.sh, as the sources have"
    fi
}

# By what comes with dpkg and rpm alone: busybox has programs of these names.
choose_kind() {
    [ -z "$kind" ] || return 0
    if command -v dpkg-query >/dev/null; then
        kind=deb
    elif command -v rpmkeys >/dev/null; then
        kind=rpm
    else
        kind=files
    fi
}

tell_plan() {
    [ -z "$sources" ] || say "build the release from $sources (packaging/build.sh)"
    case $kind in
    deb | rpm) say "install the $kind package, which makes the user csg, $etc, $data and $logs" ;;
    files)
        say "install plain files below $prefix"
        if [ $owner = machine ]; then
            say "make the user csg, $etc, $data and $logs; what of these exists stays as it is"
        else
            say "make $etc and $data; what of these exists stays as it is"
        fi
        ;;
    esac
    [ $owner = me ] || ! systemd_runs || say "enable and start the service csg"
}

agree() {
    [ -z "$dry_run" ] || exit 0
    [ -z "$yes" ] || return 0
    [ -t 0 ] || fail "nobody can be asked here: say --yes"
    printf 'Go on? [y/N] '
    read -r answer
    case $answer in
    [yY]*) ;;
    *) fail "nothing was done" ;;
    esac
}

# The wanted file of the release, copied to where nobody can change it any more, then checked.
make_release() {
    [ -z "$sources" ] || "$sources/packaging/build.sh" >/dev/null || fail "packaging/build.sh failed"
    case $kind in
    deb) pattern='_[^ ]*\.deb' ;;
    rpm) pattern='-[^ ]*\.rpm' ;;
    files) pattern='-[^ ]*\.tar\.gz' ;;
    esac
    sums=$(cat "$release/SHA256SUMS")
    wanted=$(printf '%s\n' "$sums" | sed -n "s/^[0-9a-f]\{64\} [ *]\($name$pattern\)\$/\1/p")
    case $wanted in
    "" | *"
"*) fail "SHA256SUMS must name one file of the kind '$kind'" ;;
    esac
    case $(uname -m):$wanted in
    x86_64:*amd64.deb | x86_64:*x86_64.* | aarch64:*arm64.deb | aarch64:*aarch64.*) ;;
    *) fail "$wanted is not for this machine, which is $(uname -m)" ;;
    esac
    temporary=$(mktemp -d)
    chmod 755 "$temporary" # apt reads the package as a user of its own
    cp -- "$release/$wanted" "$temporary/$wanted" || fail "$release lacks $wanted"
    (cd "$temporary" && printf '%s\n' "$sums" | grep " [ *]$wanted\$" | sha256sum -c >/dev/null 2>&1) ||
        fail "$wanted is not what SHA256SUMS says: it is damaged or was changed; nothing was installed"
    package=$temporary/$wanted
}

# --- Packages -------------------------------------------------------------------------------------------------------

install_deb() {
    not_beside_files
    $as_root env DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i "$package"
    csg=/usr/bin/csg
}

install_rpm() {
    not_beside_files
    $as_root rpm -U --replacepkgs "$package"
    csg=/usr/bin/csg
    ! systemd_runs || $as_root systemctl enable --now csg.socket csg.service
}

not_beside_files() {
    [ ! -e "$list" ] || fail "plain files are installed below $prefix: first $0 --uninstall, which keeps the data"
}

installed_package() {
    if command -v dpkg-query >/dev/null &&
        dpkg-query -W -f '${db:Status-Status}\n' $name 2>/dev/null | grep -qv '^not-installed$'; then
        echo deb
    elif command -v rpmkeys >/dev/null && rpm -q $name >/dev/null 2>&1; then
        echo rpm
    fi
}

# --- Plain files ----------------------------------------------------------------------------------------------------

install_files() {
    if [ $owner = machine ] && [ "$(installed_package)" ]; then
        fail "the $(installed_package) package is installed: leave out --prefix and --as"
    fi
    new=$temporary/new
    mkdir "$new"
    tar -xzf "$package" -C "$new"
    list_places "$new" >"$temporary/list"
    # A file of its own says where everything goes. It is there before the first file is, and has what an earlier version
    # laid, too, so that whatever happens next, an installation can be completed or removed.
    if [ -e "$list" ]; then cp "$list" "$temporary/old"; else : >"$temporary/old"; fi
    sort -u "$temporary/list" "$temporary/old" >"$temporary/both"
    [ $owner = me ] || make_user
    put 644 "$temporary/both" "$list"
    make_folders
    (cd "$new" && find . -type f | sed 's/^\.\///' | grep -v '^bin/' | sort) >"$temporary/files"
    while read -r file; do
        place=$(place_of "$file")
        case $file in
        etc/*) $as_root test -e "$place" || put_configuration "$new/$file" "$place" ;;
        *) [ -z "$place" ] || put 644 "$new/$file" "$place" ;;
        esac
    done <"$temporary/files"
    # The executable after all else: when it is there, all is.
    put 755 "$new/bin/csg" "$prefix/bin/csg"
    grep '/$' "$temporary/old" >>"$temporary/list" || true
    sort -u "$temporary/list" >"$temporary/final"
    grep -vxFf "$temporary/final" "$temporary/both" | while read -r file; do $as_root rm -f "$file"; done
    put 644 "$temporary/final" "$list"
    csg=$prefix/bin/csg
    [ $owner = me ] || ! systemd_runs || start_service
}

# The places of all files but the configuration; with a / behind them, the folders that have to be made for them.
list_places() {
    {
        echo "$(dirname "$list")/"
        folders_to_make "$(dirname "$list")"
        (cd "$1" && find . -type f | sed 's/^\.\///') | while read -r file; do
            place=$(place_of "$file")
            case $place in
            "" | "$etc"/*) continue ;;
            esac
            echo "$place"
            folders_to_make "$place"
        done
    } | sort -u
}

folders_to_make() {
    folder=$(dirname "$1")
    while [ ! -d "$folder" ]; do
        echo "$folder/"
        folder=$(dirname "$folder")
    done
}

# Where a file of the archive goes; nowhere, if it is for the whole machine and this gateway is somebody's own.
place_of() {
    case $1 in
    etc/csg/*) echo "$etc/${1#etc/csg/}" ;;
    lib/*) [ $owner = me ] || echo "$lib/${1#lib/}" ;;
    *) echo "$prefix/$1" ;;
    esac
}

# Puts MODE FILE at PLACE: at every moment, the old file or the new one is there.
put() {
    $as_root mkdir -p "$(dirname "$3")"
    part=$3.csg-new
    case $3 in
    */systemd/system/*) sed "s|/usr/bin/csg|$prefix/bin/csg|g" "$2" >"$temporary/unit" && $as_root cp "$temporary/unit" "$part" ;;
    *) $as_root cp "$2" "$part" ;;
    esac
    $as_root chmod "$1" "$part"
    $as_root mv -f "$part" "$3"
    part=
}

put_configuration() {
    if [ $owner = me ]; then
        sed "s|^#data_dir = .*|data_dir = \"$data\"|" "$1" >"$temporary/configuration"
        put 600 "$temporary/configuration" "$2"
    else
        part=$2.csg-new
        $as_root cp "$1" "$part"
        $as_root chown root:csg "$part"
        $as_root chmod 640 "$part"
        $as_root mv -f "$part" "$2"
        part=
    fi
}

make_user() {
    grep -q '^csg:' /etc/passwd && return
    if command -v useradd >/dev/null; then
        $as_root useradd --system --user-group --home-dir "$data" --no-create-home --shell /usr/sbin/nologin \
            --comment "Cloud Service Gateway" csg
    elif command -v adduser >/dev/null; then
        # As busybox has it.
        grep -q '^csg:' /etc/group || $as_root addgroup -S csg
        $as_root adduser -S -D -H -h "$data" -s /sbin/nologin -G csg csg
    else
        fail "there is neither useradd nor adduser here: make a system user csg with a group csg, then run this again"
    fi
}

make_folders() {
    if [ $owner = me ]; then
        mkdir -p "$etc" "$data"
        chmod 700 "$data"
        return
    fi
    make_folder "$etc" root:csg 750
    make_folder "$data" csg:csg 700
    make_folder "$logs" csg:csg 750
}

# What exists keeps the rights that its administrator gave it; a folder that was just made and not given away has none.
make_folder() {
    if ! $as_root test -d "$1"; then
        $as_root mkdir -p "$(dirname "$1")"
        $as_root rm -rf "$1.csg-new"
        $as_root mkdir -m 700 "$1.csg-new"
        $as_root chown "$2" "$1.csg-new"
        $as_root chmod "$3" "$1.csg-new"
        $as_root mv "$1.csg-new" "$1"
    fi
}

start_service() {
    $as_root systemctl daemon-reload
    $as_root systemctl enable csg.socket csg.service
    $as_root systemctl start csg.socket
    # One that runs hands over, without a call that fails; where none does, or it is too old for that, it is (re)started.
    status=0
    told=$($as_root "$csg" upgrade 2>&1) || status=$?
    if [ $status -eq 3 ]; then $as_root systemctl restart csg.service; else say "$told"; fi
}

# --- Removal --------------------------------------------------------------------------------------------------------

remove() {
    package=
    [ $owner = me ] || package=$(installed_package)
    if [ "$package" ]; then
        say "remove the $package package"
    elif [ -e "$list" ]; then
        say "remove the files that $list names"
    fi
    if [ "$purge" ]; then
        say "remove $etc, $data${logs:+, $data-backups, $logs and the user csg}: no secret, request or record can be had back"
    else
        say "keep $etc, $data${logs:+, $data-backups, $logs and the user csg}"
    fi
    agree
    case $package in
    deb) $as_root env DEBIAN_FRONTEND=noninteractive dpkg "$(if [ "$purge" ]; then echo --purge; else echo --remove; fi)" $name ;;
    rpm) $as_root rpm -e $name ;;
    "") remove_files ;;
    esac
    if [ "$purge" ]; then
        remove_data
    fi
}

remove_files() {
    if [ $owner = machine ] && systemd_runs; then
        $as_root systemctl disable --now csg-backup.timer csg.socket csg.service 2>/dev/null || true
    fi
    if [ -e "$list" ]; then
        # The list is the last to go: an interrupted removal is completed by the next one.
        grep -v '/$' "$list" | while read -r file; do $as_root rm -f "$file" "$file.csg-new"; done
        temporary=$(mktemp -d)
        grep '/$' "$list" | sort -r >"$temporary/folders" || true
        remove_empty_folders
        $as_root rm -f "$list"
        remove_empty_folders
    fi
    $as_root rm -f "$etc/csg.toml.csg-new" "$list.csg-new"
    $as_root rmdir "$(dirname "$list")" 2>/dev/null || true
    [ $owner = me ] || ! systemd_runs || $as_root systemctl daemon-reload
}

remove_empty_folders() {
    while read -r folder; do $as_root rmdir "$folder" 2>/dev/null || true; done <"$temporary/folders"
}

remove_data() {
    $as_root rm -rf "$etc" "$data" "$etc.csg-new" "$data.csg-new"
    [ $owner = machine ] || return 0
    $as_root rm -rf "$logs" "$logs.csg-new" "$data-backups"
    if grep -q '^csg:' /etc/passwd; then
        if command -v userdel >/dev/null; then $as_root userdel csg; else $as_root deluser csg; fi
    fi
    if grep -q '^csg:' /etc/group; then
        if command -v groupdel >/dev/null; then $as_root groupdel csg; else $as_root delgroup csg; fi
    fi
}

# --- Afterwards -----------------------------------------------------------------------------------------------------

tell_next_steps() {
    echo
    "$csg" version
    if [ $owner = machine ] && systemd_runs; then
        link=$(set_up_link)
        if [ "$link" ]; then
            echo "Set-up link, good for an hour and once: $link"
        else
            echo "Set-up link: none was printed, so somebody can sign in already; else see: journalctl -u csg"
        fi
        next="$csg login NAME"
    elif [ $owner = machine ]; then
        echo "Set-up link: the first start prints it."
        next="su -s /bin/sh -c '$csg serve' csg"
    else
        echo "Set-up link: the first start prints it."
        next="$csg serve --config $etc/csg.toml"
    fi
    echo "CA certificate for clients: http://$(uname -n):3128/cert/pem"
    echo "Configuration: $etc/csg.toml"
    echo "Next: $next"
}

# The link that the service printed at this very start. It prints none if somebody can sign in already.
set_up_link() {
    invocation=$($as_root systemctl show --property InvocationID --value csg.service)
    tries=10
    [ -z "$had_data" ] || tries=2
    while [ $tries -gt 0 ]; do
        link=$($as_root journalctl "_SYSTEMD_INVOCATION_ID=$invocation" -o cat --no-pager 2>/dev/null |
            grep -o 'https\{0,1\}://[^ ]*/setup?token=[^ ]*' | tail -n 1) || true
        [ -z "$link" ] || break
        tries=$((tries - 1))
        sleep 1
    done
    echo "$link"
}

systemd_runs() { [ -d /run/systemd/system ]; }

say() { echo "- $*"; }

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

wrong() {
    echo "install.sh: $*" >&2
    exit 2
}

# What was begun and not finished goes.
clean_up() {
    status=$?
    trap - EXIT
    [ -z "$part" ] || $as_root rm -f "$part"
    [ -z "$temporary" ] || rm -rf "$temporary"
    exit $status
}

main "$@"
