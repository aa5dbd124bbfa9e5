# Completion of mailcask for bash.

_mailcask_jobs() {
	local config=${MAILCASK_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/mailcask/config.ini} i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config) config=${COMP_WORDS[i + 1]} ;;
		esac
	done
	sed -n 's/^[[:space:]]*\[[[:space:]]*job[[:space:]][[:space:]]*\([^][:space:]]*\)[[:space:]]*\].*/\1/p' \
		"$config" 2>/dev/null
}

_mailcask() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= i
	local global="--config --verbose --quiet --json --trace --help --version"

	COMPREPLY=()
	case $before in
	-c | --config | --trace)
		COMPREPLY=($(compgen -f -- "$word"))
		return
		;;
	--mailbox | --allow-deletes) return ;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config | --trace) ((i++)) ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $command in
	"") COMPREPLY=($(compgen -W "backup plan config help version $global" -- "$word")) ;;
	backup)
		COMPREPLY=($(compgen -W "--dry-run --mailbox --allow-deletes --adopt --rebind \
			$global $(_mailcask_jobs)" -- "$word"))
		;;
	plan) COMPREPLY=($(compgen -W "--mailbox $global $(_mailcask_jobs)" -- "$word")) ;;
	config) COMPREPLY=($(compgen -W "check $global" -- "$word")) ;;
	help) COMPREPLY=($(compgen -W "backup plan config help version exit-codes" -- "$word")) ;;
	*) COMPREPLY=($(compgen -W "$global" -- "$word")) ;;
	esac
}

complete -F _mailcask mailcask
