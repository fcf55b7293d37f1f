import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { AGENT_TOOL_NAMES, AGENT_TOOLS, type AgentTool, type AgentToolName } from '../../shared/agents/agent-tools.ts';
import { useTool } from '../../shared/agents/use-tool.ts';
import { describeError, isCiError } from '../../shared/errors.ts';
import { type AgentOptions, AgentSession } from './agent-session.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

/** Serves the tools for agents until whoever started the program closes its input. */
export async function serveMcp(context: CliContext, options: AgentOptions): Promise<ExitCode> {
  await using session = new AgentSession(context, options);
  const transport = new StdioServerTransport();
  const ended = inputEnded(context.signal);
  const server = serveStdio(() => serverOf(context, session), {
    transport,
    onerror: error => context.terminal.say(`simple-ci mcp: ${error.message}`),
  });
  try {
    await ended;
  } finally {
    await server.close();
  }
  context.signal.throwIfAborted();
  return EXIT.passed;
}

function serverOf(context: CliContext, session: AgentSession): McpServer {
  const server = new McpServer({ name: 'simple-ci', title: 'Simple CI', version: context.version });
  for (const name of AGENT_TOOL_NAMES) register(server, context, session, name);
  return server;
}

function register(server: McpServer, context: CliContext, session: AgentSession, name: AgentToolName): void {
  const { title, description, input, isReadOnly }: AgentTool = AGENT_TOOLS[name];
  const annotations = { readOnlyHint: isReadOnly, destructiveHint: !isReadOnly, openWorldHint: !isReadOnly };
  server.registerTool(name, { title, description, inputSchema: input, annotations }, async (given, { mcpReq }) => {
    const signal = AbortSignal.any([context.signal, mcpReq.signal]);
    try {
      const text = await useTool(name, given, await session.host(), signal);
      return { content: [{ type: 'text', text }] };
    } catch (error) {
      signal.throwIfAborted();
      if (!isCiError(error)) throw error;
      return { content: [{ type: 'text', text: describeError(error) }], isError: true };
    }
  });
}

/** Resolves at the end of standard input, or when the signal fires. */
function inputEnded(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    process.stdin.once('end', resolve).once('close', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
