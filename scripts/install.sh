#!/bin/sh
# Installs a node on a host without packages: program, unit, user, example config, manual
# pages and completions. It downloads nothing and starts nothing. Run again with another
# program it upgrades, and restarts a node that runs.
set -eu

usage() {
	cat <<'TEXT'
usage: install.sh [PROGRAM]         install, or upgrade; by default the tandem beside this script
       install.sh --uninstall       remove all but the config and the state
       install.sh --purge           remove them too
TEXT
}

bin=/usr/local/bin/tandem
unit=/etc/systemd/system/tandem.service
man=/usr/local/share/man
bash=/usr/local/share/bash-completion/completions/tandem
zsh=/usr/local/share/zsh/site-functions/_tandem
fish=/etc/fish/completions/tandem.fish

say() { printf 'tandem: %s\n' "$*"; }

fail() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}

# booted: systemd runs this host.
booted() { [ -d /run/systemd/system ]; }

uninstall() { # [--purge]
	if booted && [ -e "$unit" ]; then
		systemctl --quiet disable --now tandem.service
	elif [ -e "$unit" ]; then
		rm -f /etc/systemd/system/multi-user.target.wants/tandem.service
	fi
	rm -f "$bin" "$unit" "$man/man1/tandem.1" "$man/man5/tandem.yaml.5" "$bash" "$zsh" "$fish"
	for made in "$(dirname "$bash")" "${bash%/*/*}" "$(dirname "$zsh")" "${zsh%/*/*}" "$man/man1" "$man/man5" \
		/etc/fish/completions /etc/fish; do
		rmdir "$made" 2>/dev/null || true # others may use it
	done
	if booted; then
		systemctl daemon-reload
		systemctl --quiet reset-failed tandem.service 2>/dev/null || true # it may never have failed
	fi
	if [ "${1:-}" = --purge ]; then
		rm -rf /etc/tandem /var/lib/tandem /run/tandem "$unit.d"
		if getent passwd tandem >/dev/null; then userdel tandem; fi
		say 'removed, with its config and state'
	else
		say 'removed; kept: /etc/tandem, /var/lib/tandem, the user tandem (install.sh --purge takes them too)'
	fi
}

# find_beside NAME...: the first of these files that is beside this script or in the repository.
find_beside() {
	for candidate in "$@"; do
		if [ -f "$here/$candidate" ]; then
			printf '%s\n' "$here/$candidate"
			return
		fi
	done
	fail "found none of $* beside this script"
}

# put FILE DESTINATION MODE: whole or not at all, also over a program that runs.
put() {
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2.new"
	chmod "$3" "$2.new"
	mv -f "$2.new" "$2"
}

# printed DESTINATION ARGUMENT...: what the program prints.
printed() {
	destination=$1
	shift
	"$bin" "$@" >"$work/printed"
	put "$work/printed" "$destination" 644
}

install() { # PROGRAM
	"$1" version >/dev/null || fail "$1 does not run on this host"
	put "$1" "$bin" 755
	sed "s#/usr/bin/tandem#$bin#" "$(find_beside tandem.service package/tandem.service)" >"$work/unit"
	put "$work/unit" "$unit" 644
	if [ ! -e /etc/tandem/tandem.yaml ]; then
		put "$(find_beside tandem.yaml package/tandem.yaml)" /etc/tandem/tandem.yaml 644
	fi
	if ! getent passwd tandem >/dev/null; then
		useradd --system --user-group --no-create-home --home-dir / --shell "$(command -v nologin || echo /bin/false)" tandem
	fi
	printed "$man/man1/tandem.1" man
	if [ -f "$here/tandem.yaml.5.gz" ]; then
		gzip -dc "$here/tandem.yaml.5.gz" >"$work/page"
		put "$work/page" "$man/man5/tandem.yaml.5" 644
	fi
	printed "$bash" completion bash
	printed "$zsh" completion zsh
	printed "$fish" completion fish
	say "installed $("$bin" version)"
	activate
}

activate() {
	if ! booted; then
		say 'systemd does not run here: start it by: tandem run'
		return
	fi
	systemctl daemon-reload
	if ! systemctl --quiet is-active tandem.service; then
		say 'not started. Write /etc/tandem/tandem.yaml, then: tandem check && systemctl enable --now tandem'
	elif "$bin" check; then
		systemctl restart tandem.service
		say 'restarted'
	else
		fail 'NOT restarted, the version before runs on: this one does not take the config'
	fi
}

case ${1:-} in
-h | --help)
	usage
	exit
	;;
esac
[ "$(id -u)" = 0 ] || fail 'run it as root'
if [ -e /usr/lib/systemd/system/tandem.service ]; then
	fail 'a package of tandem is installed here: upgrade or remove that instead'
fi
case ${1:-} in
--uninstall) uninstall ;;
--purge) uninstall --purge ;;
-*)
	usage >&2
	exit 2
	;;
*)
	here=$(cd "$(dirname "$0")" && pwd)
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	program=${1:-$(find_beside tandem ../bin/tandem)}
	[ -f "$program" ] || fail "there is no program $program"
	case $program in
	*/*) ;;
	*) program=./$program ;; # that file, and not one of this name in the path
	esac
	install "$program"
	;;
esac
