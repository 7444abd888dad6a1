/** Completion scripts, made from the commands themselves. */
import type { Command, Option } from 'commander';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

interface Place {
  /** The words after `holdfast` that lead here, e.g. `repo check`. */
  readonly words: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly Option[];
}

/** The script for a shell; print it and let the shell read it. */
export function completionScript(shell: Shell, program: Command): string {
  const places = placesOf(program, program.options, []);
  switch (shell) {
    case 'bash':
      return bashScript(places);
    case 'zsh':
      return zshScript(places);
    case 'fish':
      return fishScript(places);
  }
}

function placesOf(command: Command, general: readonly Option[], words: readonly string[]): Place[] {
  const commands = command.commands.map((one) => ({ name: one.name(), summary: one.description() }));
  const own = words.length === 0 ? [] : command.options;
  const here: Place = { words: words.join(' '), commands, options: [...own, ...general] };
  return [here, ...command.commands.flatMap((one) => placesOf(one, general, [...words, one.name()]))];
}

/** The words typed so far that are commands, as far as they lead anywhere: shared by bash and zsh. */
function findPlace(places: readonly Place[]): string {
  const known = places.filter((place) => place.words !== '').map((place) => `"${place.words}"`);
  return [
    '  local place="" word',
    '  for word in $typed; do',
    '    case "$word" in -*) continue ;; esac',
    `    case "\${place:+$place }$word" in ${known.join('|')}) place="\${place:+$place }$word" ;; esac`,
    '  done',
  ].join('\n');
}

function longNames(place: Place): string[] {
  return place.options.flatMap((option) => (option.long ? [option.long] : []));
}

function bashScript(places: readonly Place[]): string {
  const cases = places.map(
    (place) =>
      `    "${place.words}") words="${[...place.commands.map((one) => one.name), ...longNames(place)].join(' ')}" ;;`,
  );
  return `# bash completion for holdfast. Use it with: source <(holdfast completion bash)
_holdfast() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  local typed="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
${findPlace(places)}
  case "$place" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _holdfast holdfast
`;
}

function zshScript(places: readonly Place[]): string {
  const cases = places.map((place) => {
    const commands = place.commands.map((one) => zshPair(one.name, one.summary));
    const options = place.options.flatMap((option) => (option.long ? [zshPair(option.long, option.description)] : []));
    return `    "${place.words}") commands=(${commands.join(' ')}); options=(${options.join(' ')}) ;;`;
  });
  return `#compdef holdfast
# zsh completion for holdfast. Use it with: source <(holdfast completion zsh)
_holdfast() {
  local -a commands options
  local typed="\${words[2,CURRENT-1]}"
  setopt local_options sh_word_split
${findPlace(places)}
  case "$place" in
${cases.join('\n')}
  esac
  if [[ "$PREFIX" == -* ]]; then
    _describe -o option options
  elif (( \${#commands} )); then
    _describe command commands
  else
    _files
  fi
}
compdef _holdfast holdfast
`;
}

function zshPair(name: string, summary: string): string {
  return quote(`${name}:${summary.replace(/:/g, '\\:')}`);
}

function fishScript(places: readonly Place[]): string {
  const lines = places.flatMap((place) => {
    const here = condition(place);
    const commands = place.commands.map(
      (one) => `complete -c holdfast -f -n ${quote(here)} -a ${quote(one.name)} -d ${quote(one.summary)}`,
    );
    const options = place.options.flatMap((option) =>
      option.long
        ? [
            `complete -c holdfast -n ${quote(here)} -l ${option.long.slice(2)}${option.required ? ' -r' : ''} -d ${quote(option.description)}`,
          ]
        : [],
    );
    return [...commands, ...options];
  });
  return `# fish completion for holdfast. Use it with: holdfast completion fish | source\n${lines.join('\n')}\n`;
}

function condition({ words, commands }: Place): string {
  const seen = words.split(' ').filter((word) => word !== '');
  const below = commands.map((one) => one.name);
  const parts = seen.map((word) => `__fish_seen_subcommand_from ${word}`);
  if (below.length > 0) parts.push(`not __fish_seen_subcommand_from ${below.join(' ')}`);
  return parts.join('; and ') || 'true';
}

function quote(text: string): string {
  return `'${text.replace(/'/g, '’')}'`;
}
