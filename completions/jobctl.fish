# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_jobctl_global_optspecs
    string join \n jobfile= state-dir= json color= q/quiet v/verbose h/help V/version
end

function __fish_jobctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_jobctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_jobctl_using_subcommand
    set -l cmd (__fish_jobctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c jobctl -n "__fish_jobctl_needs_command" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_needs_command" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_needs_command" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_needs_command" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_needs_command" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_needs_command" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_needs_command" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_needs_command" -s V -l version -d 'Print version'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "run" -d 'Run the supervisor in the foreground'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "check" -d 'Check the jobfile and say what would surprise'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "edit" -d 'Edit the jobfile, check it, install it and reload'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "init" -d 'Write a commented jobfile to start from'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "reload" -d 'Make the supervisor read the jobfile now, and print its answer'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "status" -d 'Show the supervisor, the jobs, and what runs, waits and failed'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "next" -d 'Show coming occurrences'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "runs" -d 'List runs, newest first'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "history" -d 'List runs, newest first'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "show" -d 'Show one run with its attempts'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "why" -d 'Say why a run waits, was skipped or gave up, or why a job did not run'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "logs" -d 'Print the output of a run'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "enqueue" -d 'Add a run of a job to the queue'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "trigger" -d 'Add a run of a job to the queue'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "start" -d 'Add a run of a job to the queue'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "exec" -d 'Run a job here and now, and print its output'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "retry" -d 'Run again what has failed'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "cancel" -d 'Cancel runs that wait, stop runs that run'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "stop" -d 'Cancel runs that wait, stop runs that run'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "ack" -d 'Take note of failed runs'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "wait" -d 'Wait until runs have ended'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "pause" -d 'Start nothing more of a job'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "resume" -d 'End a pause'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "stats" -d 'Show how often jobs succeed and how long they take'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "metrics" -d 'Print numbers for monitoring, as Prometheus text'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "prune" -d 'Remove now the runs that are older than their jobs keep them'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "doctor" -d 'Look whether all is well around the supervisor, and say what mends it'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "export" -d 'Print the jobs in the format of another program'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "import" -d 'Make a jobfile of crontabs'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "backup" -d 'Copy the store into a file, while it is in use'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "restore" -d 'Make the store what it was when a backup was made'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "completions" -d 'Print a shell\'s completion script'
complete -c jobctl -n "__fish_jobctl_needs_command" -f -a "man" -d 'Print a manual page'
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l on-stop -d 'Let running attempts end when told to stop (finish), or leave them to the next supervisor (detach)' -r -f -a "finish\t'Give them time to end, then stop them'
detach\t'Leave at once; the next supervisor adopts them'"
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l log-format -d 'Write the log as text or as json, a JSON object a line' -r -f -a "text\t'`key=value`'
json\t'JSON'"
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l shadow -d 'Start nothing: record each occurrence as skipped (shadow), to compare with cron before the cut-over'
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l standby -d 'Wait until no other supervisor runs here, then take over'
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jobctl -n "__fish_jobctl_using_subcommand check" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand check" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand check" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand check" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand check" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand check" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand edit" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand edit" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand edit" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand edit" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand edit" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand edit" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand edit" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand init" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand init" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand init" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand init" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand init" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand init" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand init" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand reload" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand reload" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand reload" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand reload" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand reload" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand reload" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -l failed -d 'Show only jobs with failed runs that nobody has acknowledged'
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -l all -d 'Show all jobs, however many there are'
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -l watch -d 'Show it again and again, until interrupted'
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -s n -l count -d 'Show so many [default: 10]' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l from -d 'Begin here instead of now' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l until -d 'End here' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l schedule -d 'Show when this expression would fire; needs no jobfile' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l timezone -d 'Take the expression in this zone [default: the system\'s]' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand next" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -s n -l count -d 'Show so many at most; 0 for all' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l state -d 'Only runs in this state; may be repeated' -r -f -a "scheduled\t''
queued\t''
running\t''
retrying\t''
succeeded\t''
failed\t''
skipped\t''
cancelled\t''"
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l job -d 'Only runs of this job' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l since -d 'Only runs made at or after this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l until -d 'Only runs made before this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l exit -d 'Only runs whose newest attempt ended with this exit code' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l key -d 'Only runs with this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l failed -d 'Only failed runs that nobody has acknowledged'
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand runs" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -s n -l count -d 'Show so many at most; 0 for all' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l state -d 'Only runs in this state; may be repeated' -r -f -a "scheduled\t''
queued\t''
running\t''
retrying\t''
succeeded\t''
failed\t''
skipped\t''
cancelled\t''"
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l job -d 'Only runs of this job' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l since -d 'Only runs made at or after this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l until -d 'Only runs made before this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l exit -d 'Only runs whose newest attempt ended with this exit code' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l key -d 'Only runs with this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l failed -d 'Only failed runs that nobody has acknowledged'
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand history" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand show" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand show" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand show" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand show" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand show" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand show" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand show" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -l at -d 'What became of the occurrence of the job at this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand why" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -l attempt -d 'Print this attempt [default: the newest]' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -s n -l lines -d 'Print only the last lines' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -s f -l follow -d 'Go on as output comes; without a run or job: of all'
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -l raw -d 'Print the bytes as they are, also on a terminal'
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand logs" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l in -d 'Start it after this duration' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l at -d 'Start it at this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l after -d 'Start it when these runs have succeeded; cancel it when one ends otherwise' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l expires -d 'Cancel it if it has not started by this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l key -d 'Add nothing if an unfinished run or unacknowledged failure of the job has this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l on-conflict -d 'If a run has the key: ignore the new one, replace that one, or make it an error' -r -f -a "ignore\t'Print the id of that one'
replace\t'Cancel that one'
error\t'Add nothing and exit 1'"
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l priority -d 'Claim it before runs of lower priority' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l lines -d 'Add a run for each line of standard input, all or none'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l null -d 'As --lines, but up to NUL'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l stdin -d 'Give standard input to the command, 16 MiB at most'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l wait -d 'Wait until it has ended; exit code 0 if it succeeded'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l dry-run -d 'Add nothing, say what would be added'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand enqueue" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l in -d 'Start it after this duration' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l at -d 'Start it at this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l after -d 'Start it when these runs have succeeded; cancel it when one ends otherwise' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l expires -d 'Cancel it if it has not started by this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l key -d 'Add nothing if an unfinished run or unacknowledged failure of the job has this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l on-conflict -d 'If a run has the key: ignore the new one, replace that one, or make it an error' -r -f -a "ignore\t'Print the id of that one'
replace\t'Cancel that one'
error\t'Add nothing and exit 1'"
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l priority -d 'Claim it before runs of lower priority' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l lines -d 'Add a run for each line of standard input, all or none'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l null -d 'As --lines, but up to NUL'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l stdin -d 'Give standard input to the command, 16 MiB at most'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l wait -d 'Wait until it has ended; exit code 0 if it succeeded'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l dry-run -d 'Add nothing, say what would be added'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand trigger" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l in -d 'Start it after this duration' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l at -d 'Start it at this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l after -d 'Start it when these runs have succeeded; cancel it when one ends otherwise' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l expires -d 'Cancel it if it has not started by this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l key -d 'Add nothing if an unfinished run or unacknowledged failure of the job has this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l on-conflict -d 'If a run has the key: ignore the new one, replace that one, or make it an error' -r -f -a "ignore\t'Print the id of that one'
replace\t'Cancel that one'
error\t'Add nothing and exit 1'"
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l priority -d 'Claim it before runs of lower priority' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l lines -d 'Add a run for each line of standard input, all or none'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l null -d 'As --lines, but up to NUL'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l stdin -d 'Give standard input to the command, 16 MiB at most'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l wait -d 'Wait until it has ended; exit code 0 if it succeeded'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l dry-run -d 'Add nothing, say what would be added'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand start" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -l run -d 'Take job, arguments and standard input of this run' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -l tty-stdin -d 'Give the command standard input as it is here, a terminal for example (to another user: what is typed)'
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -l raw -d 'Print the bytes of the output as they are, also on a terminal'
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand exec" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l rate -d 'Start them one after the other, so many in this time, such as 5/s' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l state -d 'Only runs in this state; may be repeated' -r -f -a "scheduled\t''
queued\t''
running\t''
retrying\t''
succeeded\t''
failed\t''
skipped\t''
cancelled\t''"
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l job -d 'Only runs of this job' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l since -d 'Only runs made at or after this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l until -d 'Only runs made before this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l exit -d 'Only runs whose newest attempt ended with this exit code' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l key -d 'Only runs with this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l all -d 'With --failed: also the older failed occurrences'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l force -d 'Also run a success again'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l dry-run -d 'Only say what would be done'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l failed -d 'Only failed runs that nobody has acknowledged'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand retry" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l state -d 'Only runs in this state; may be repeated' -r -f -a "scheduled\t''
queued\t''
running\t''
retrying\t''
succeeded\t''
failed\t''
skipped\t''
cancelled\t''"
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l job -d 'Only runs of this job' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l since -d 'Only runs made at or after this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l until -d 'Only runs made before this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l exit -d 'Only runs whose newest attempt ended with this exit code' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l key -d 'Only runs with this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l dry-run -d 'Only say what would be done'
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l failed -d 'Only failed runs that nobody has acknowledged'
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand cancel" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l state -d 'Only runs in this state; may be repeated' -r -f -a "scheduled\t''
queued\t''
running\t''
retrying\t''
succeeded\t''
failed\t''
skipped\t''
cancelled\t''"
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l job -d 'Only runs of this job' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l since -d 'Only runs made at or after this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l until -d 'Only runs made before this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l exit -d 'Only runs whose newest attempt ended with this exit code' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l key -d 'Only runs with this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l dry-run -d 'Only say what would be done'
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l failed -d 'Only failed runs that nobody has acknowledged'
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand stop" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l state -d 'Only runs in this state; may be repeated' -r -f -a "scheduled\t''
queued\t''
running\t''
retrying\t''
succeeded\t''
failed\t''
skipped\t''
cancelled\t''"
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l job -d 'Only runs of this job' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l since -d 'Only runs made at or after this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l until -d 'Only runs made before this time' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l exit -d 'Only runs whose newest attempt ended with this exit code' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l key -d 'Only runs with this key' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l dry-run -d 'Only say what would be done'
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l failed -d 'Only failed runs that nobody has acknowledged'
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand ack" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -l idle -d 'Wait until nothing is due or running any more'
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand wait" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -l for -d 'End the pause after this duration' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -l all -d 'All jobs'
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand pause" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -l all -d 'What `pause --all` paused'
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand resume" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -l since -d 'Only runs that ended at or after this time [default: 7d]' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -l by -d 'A line for each hour, day, week or month' -r -f -a "hour\t'An hour'
day\t'A day'
week\t'A week, from Monday'
month\t'A month'"
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jobctl -n "__fish_jobctl_using_subcommand metrics" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand metrics" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand metrics" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand metrics" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand metrics" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand metrics" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand prune" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand prune" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand prune" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand prune" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand prune" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand prune" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand prune" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand doctor" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand doctor" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand doctor" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand doctor" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand doctor" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand doctor" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -l system -d 'With a user column, as in /etc/crontab'
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l root -d 'Look for the files of the system below this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l user -d 'Whose crontab FILE is; as root, what is not root\'s own, and standard input, needs it' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l prove -d 'Compare the occurrences of the original lines, minute by minute as cron finds them, with those of the jobs, over so many days [default: 400]' -r
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l compare -d 'Instead of a jobfile: compare what cron has recorded, in the journal or in this file, with the schedules of the jobs' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l all-users -d 'The crontabs of all users'
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l system -d '/etc/crontab, /etc/cron.d, the directories /etc/cron.daily and so on, /etc/anacrontab'
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l user-column -d 'The lines of FILE have a user column, as those of /etc/crontab'
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand import" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand backup" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand backup" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand backup" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand backup" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand backup" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand backup" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand backup" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand restore" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand restore" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand restore" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand restore" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand restore" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand restore" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand restore" -s h -l help -d 'Print help'
complete -c jobctl -n "__fish_jobctl_using_subcommand completions" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand completions" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand completions" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand completions" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand completions" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand completions" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jobctl -n "__fish_jobctl_using_subcommand man" -l jobfile -d 'Read the jobs from this file' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand man" -l state-dir -d 'Keep the store, locks and output in this directory' -r -F
complete -c jobctl -n "__fish_jobctl_using_subcommand man" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t'On a terminal that can show it, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c jobctl -n "__fish_jobctl_using_subcommand man" -l json -d 'Print JSON: one object, or one a line for lists'
complete -c jobctl -n "__fish_jobctl_using_subcommand man" -s q -l quiet -d 'Say only what was asked for'
complete -c jobctl -n "__fish_jobctl_using_subcommand man" -s v -l verbose -d 'Say more'
complete -c jobctl -n "__fish_jobctl_using_subcommand man" -s h -l help -d 'Print help'

# Names of jobs and ids of runs, where the command takes them; everything else is done above.
complete -c jobctl -n "__fish_jobctl_using_subcommand status next runs history why logs enqueue trigger start exec pause resume" -f -a "(jobctl __complete jobs 2>/dev/null)"
complete -c jobctl -n "__fish_jobctl_using_subcommand show why logs retry cancel stop ack wait" -k -f -a "(jobctl __complete runs 2>/dev/null)"
complete -c jobctl -n "__fish_jobctl_using_subcommand runs history retry cancel stop ack" -l job -x -a "(jobctl __complete jobs 2>/dev/null)"
