# Completion of mailcask for bash.

# Names of the sections of one kind: job, account, store.
_mailcask_names() {
	local config=${MAILCASK_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/mailcask/config.ini} i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config) config=${COMP_WORDS[i + 1]} ;;
		esac
	done
	sed -n "s/^[[:space:]]*\[[[:space:]]*$1[[:space:]][[:space:]]*\([^][:space:]]*\)[[:space:]]*\].*/\1/p" \
		"$config" 2>/dev/null
}

_mailcask() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= i
	local global="--config --accounts --verbose --quiet --json --trace --help --version"

	local imap_commands="append capability catenate check close compress copy create delete enable examine expunge \
		fetch getacl getquota getquotaroot id idle list logout lsub move myrights namespace \
		noop notify rename replace search select status store subscribe unauthenticate unselect \
		unsubscribe xatom"

	COMPREPLY=()
	case $before in
	-c | --config | --accounts | --trace | --output)
		COMPREPLY=($(compgen -f -- "$word"))
		return
		;;
	--format)
		COMPREPLY=($(compgen -W "mbox eml maildir" -- "$word"))
		return
		;;
	--create)
		COMPREPLY=($(compgen -W "git maildir" -- "$word"))
		return
		;;
	--layout)
		COMPREPLY=($(compgen -W "fs maildir++" -- "$word"))
		return
		;;
	--mailbox | --uid | --deleted-since | --allow-deletes | --changed-since | --unchanged-since | --return | \
		--partial | --flags | --date | --use | --seconds | --part | \
		--max-duration | --max-age | --workers | --sample | --last | --top) return ;;
	--against)
		COMPREPLY=($(compgen -W "$(_mailcask_names account)" -- "$word"))
		return
		;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config | --accounts | --trace) ((i++)) ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $command in
	"") COMPREPLY=($(compgen -W "backup migrate plan apply restore snapshots ls show find diff stats export import check compact forget prune-server status quarantine imap config help version $global" -- "$word")) ;;
	backup)
		COMPREPLY=($(compgen -W "--dry-run --mailbox --allow-deletes --adopt --rebind --workers \
			$global $(_mailcask_names job)" -- "$word"))
		;;
	migrate)
		COMPREPLY=($(compgen -W "--dry-run --mailbox --delete --allow-deletes --workers \
			$global $(_mailcask_names job)" -- "$word"))
		;;
	plan)
		COMPREPLY=($(compgen -W "--mailbox --output $global $(_mailcask_names job)" -- "$word"))
		[ "${COMP_WORDS[COMP_CWORD - 1]}" != -o ] || COMPREPLY=($(compgen -f -- "$word"))
		;;
	apply)
		COMPREPLY=($(compgen -W "--dry-run --allow-deletes $global" -- "$word") $(compgen -f -- "$word"))
		;;
	restore)
		COMPREPLY=($(compgen -W "--dry-run --mailbox --uid --deleted-since --search --into --flags \
			--without-kept --layout --adopt $global" -- "$word") $(compgen -f -- "$word"))
		if [ $((COMP_CWORD - i)) -gt 1 ]; then
			COMPREPLY+=($(compgen -W "$(_mailcask_names account)" -- "$word"))
		else
			COMPREPLY+=($(compgen -W "$(_mailcask_names store)" -- "$word"))
		fi
		;;
	ls) COMPREPLY=($(compgen -W "$global $(_mailcask_names store)" -- "$word")) ;;
	snapshots)
		COMPREPLY=($(compgen -W "--last $global $(_mailcask_names store)" -- "$word"))
		;;
	show)
		COMPREPLY=($(compgen -W "--raw --part --headers $global $(_mailcask_names store)" \
			-- "$word"))
		;;
	find)
		COMPREPLY=($(compgen -W "--deleted --mailbox $global $(_mailcask_names store)" -- "$word"))
		;;
	diff)
		COMPREPLY=($(compgen -W "--list $global $(_mailcask_names store)" -- "$word"))
		;;
	stats)
		COMPREPLY=($(compgen -W "--top $global $(_mailcask_names store)" -- "$word"))
		;;
	import)
		COMPREPLY=($(compgen -W "--dry-run --into --mailbox --create $global" -- "$word") $(compgen -f -- "$word"))
		COMPREPLY+=($(compgen -W "$(_mailcask_names store)" -- "$word"))
		;;
	export)
		COMPREPLY=($(compgen -W "--format --mailbox --uid --search --without-kept $global $(_mailcask_names store)" \
			-- "$word") $(compgen -f -- "$word"))
		;;
	check)
		COMPREPLY=($(compgen -W "--read-data --max-duration --against --sample $global $(_mailcask_names store)" \
			-- "$word"))
		;;
	compact)
		COMPREPLY=($(compgen -W "--dry-run --mend $global $(_mailcask_names store)" -- "$word"))
		;;
	forget)
		COMPREPLY=($(compgen -W "--keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly \
			--keep-yearly --keep-within --kept-before --dry-run $global $(_mailcask_names store)" -- "$word"))
		;;
	prune-server)
		COMPREPLY=($(compgen -W "--older-than --mailbox --dry-run --allow-deletes $global $(_mailcask_names job)" \
			-- "$word"))
		;;
	status)
		COMPREPLY=($(compgen -W "--max-age $global $(_mailcask_names job)" -- "$word"))
		;;
	quarantine)
		COMPREPLY=($(compgen -W "--mailbox --all $global" -- "$word"))
		case $((COMP_CWORD - i)) in
		1) COMPREPLY+=($(compgen -W "$(_mailcask_names job)" -- "$word")) ;;
		2) COMPREPLY+=($(compgen -W "list accept retry" -- "$word")) ;;
		esac
		;;
	config) COMPREPLY=($(compgen -W "check $global" -- "$word")) ;;
	help) COMPREPLY=($(compgen -W "backup migrate plan apply restore snapshots ls show find diff stats export import check compact forget prune-server status quarantine imap config help version exit-codes" -- "$word")) ;;
	imap)
		COMPREPLY=($(compgen -W "--seq --output --changed-since --vanished \
			--unchanged-since --return --partial --flags --date --utf8 --use --seconds \
			$global" -- "$word"))
		case $((COMP_CWORD - i)) in
		1) COMPREPLY+=($(compgen -W "help $(_mailcask_names account)" -- "$word")) ;;
		2) COMPREPLY+=($(compgen -W "$imap_commands" -- "$word")) ;;
		*) COMPREPLY+=($(compgen -f -- "$word")) ;;
		esac
		;;
	*) COMPREPLY=($(compgen -W "$global" -- "$word")) ;;
	esac
}

complete -F _mailcask mailcask
