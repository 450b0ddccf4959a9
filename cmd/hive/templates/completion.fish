# fish completion of hive
complete -c hive -f
{{- range .}}
complete -c hive -n __fish_use_subcommand -a {{.Name}} -d {{quote .Usage}}
{{- $command := .Name}}
{{- range .Flags}}
complete -c hive -n '__fish_seen_subcommand_from {{$command}}' -l {{.Long}}{{if .Short}} -s {{.Short}}{{end}}{{if not .Bare}} -r{{end}} -d {{quote .Usage}}
{{- end}}
{{- if .Files}}
complete -c hive -n '__fish_seen_subcommand_from {{.Name}}' -F
{{- end}}
{{- if .Words}}
complete -c hive -n '__fish_seen_subcommand_from {{.Name}}' -a {{join .Words " " | quote}}
{{- end}}
{{- end}}
