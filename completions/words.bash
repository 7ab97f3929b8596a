
# Names of jobs and ids of runs, where the command takes them; everything else is done above.
_jobctl_words() {
    _jobctl "$@"
    [[ $2 == -* ]] && return
    local word words=""
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$word" in
            status | report | next | runs | history | enqueue | trigger | start | exec | pause | resume) words=jobs ;;
            show | retry | cancel | stop | ack | wait) words=runs ;;
            logs | why) words="jobs runs" ;;
            *) continue ;;
        esac
        break
    done
    case "$3" in
        --job) words=jobs ;;
        --at | --attempt | --color | --count | --exit | --for | --from | --html | --in | --jobfile | --key | -n) return ;;
        --priority | --schedule | --since | --state | --state-dir | --timezone | --until) return ;;
    esac
    [[ $words ]] || return
    COMPREPLY=()
    for word in $words; do
        COMPREPLY+=($(compgen -W "$("$1" __complete "$word" -- "${COMP_WORDS[@]:0:COMP_CWORD}" 2>/dev/null)" -- "$2"))
    done
}

complete -F _jobctl_words -o bashdefault -o default jobctl
