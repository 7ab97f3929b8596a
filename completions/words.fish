
# Names of jobs and ids of runs, where the command takes them; everything else is done above.
complete -c jobctl -n "__fish_jobctl_using_subcommand status report next runs history why logs enqueue trigger start exec pause resume" -f -a "(jobctl __complete jobs -- (commandline -opc) 2>/dev/null)"
complete -c jobctl -n "__fish_jobctl_using_subcommand show why logs retry cancel stop ack wait" -k -f -a "(jobctl __complete runs -- (commandline -opc) 2>/dev/null)"
complete -c jobctl -n "__fish_jobctl_using_subcommand runs history retry cancel stop ack" -l job -x -a "(jobctl __complete jobs -- (commandline -opc) 2>/dev/null)"
