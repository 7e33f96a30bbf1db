// Beside environment.ts, which loads the parser of the configuration: commands that only name a variable do not need it.

/** The configuration file, if there is no `--config`. */
export const CONFIG_VARIABLE = 'ICI_GATEWAY_CONFIG';

/** The gateway that `ici-gateway admin` asks, if there is no `--admin`. */
export const ADMIN_URL_VARIABLE = 'ICI_GATEWAY_ADMIN__URL';

/** The file with a token for it, if there is no `--token-file`. */
export const TOKEN_FILE_VARIABLE = 'ICI_GATEWAY_ADMIN__TOKEN_FILE';
