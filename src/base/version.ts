/** The program's version, as in package.json. */
import packageFile from '../../package.json' with { type: 'json' };

export const programVersion: string = packageFile.version;
