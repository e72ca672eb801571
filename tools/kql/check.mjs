// Checks Kusto queries against the tables that Application Insights has when it is queried by its own name (component
// scope): node check.mjs FILE… Prints a line of JSON for each finding, {"file", "line", "code", "message"}, and ends with
// 1 if there is any. It asks no server.
//
// Columns: https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete
import { readFileSync } from 'node:fs';
import vm from 'node:vm';

// The language service is a script for browsers: it adds names to the global object.
for (const part of ['bridge.min.js', 'Kusto.Language.Bridge.min.js']) {
  const file = new URL(`node_modules/@kusto/language-service-next/${part}`, import.meta.url);
  vm.runInThisContext(readFileSync(file, 'utf8'), { filename: part });
}
const { KustoCode, GlobalState, Symbols } = globalThis.Kusto.Language;

const common = `timestamp: datetime, itemType: string, itemId: string, itemCount: int, customDimensions: dynamic,
  customMeasurements: dynamic, operation_Id: string, operation_ParentId: string, operation_Name: string,
  operation_SyntheticSource: string, session_Id: string, user_Id: string, user_AuthenticatedId: string,
  user_AccountId: string, application_Version: string, client_Type: string, client_Model: string, client_OS: string,
  client_IP: string, client_City: string, client_StateOrProvince: string, client_CountryOrRegion: string,
  client_Browser: string, cloud_RoleName: string, cloud_RoleInstance: string, appId: string, appName: string, iKey: string,
  sdkVersion: string, _ResourceId: string`;
const tables = {
  traces: 'message: string, severityLevel: int',
  customEvents: 'name: string',
  dependencies: `id: string, name: string, target: string, type: string, data: string, success: string, resultCode: string,
    duration: real, performanceBucket: string`,
  availabilityResults: `id: string, name: string, location: string, success: string, message: string, duration: real,
    performanceBucket: string, size: real`,
  requests: `id: string, source: string, name: string, url: string, success: string, resultCode: string, duration: real,
    performanceBucket: string`,
  exceptions: `problemId: string, handledAt: string, type: string, message: string, assembly: string, method: string,
    outerType: string, outerMessage: string, outerAssembly: string, outerMethod: string, innermostType: string,
    innermostMessage: string, innermostAssembly: string, innermostMethod: string, severityLevel: int, details: dynamic`,
};
// A table of the workspace itself, which is queried there: https://learn.microsoft.com/azure/azure-monitor/reference/tables/operation
const workspace = {
  _LogOperation: `TimeGenerated: datetime, Category: string, Operation: string, Level: string, Detail: string, _ResourceId: string,
    TenantId: string, SourceSystem: string, Type: string`,
};
const symbols = [
  ...Object.entries(tables).map(([name, columns]) => new Symbols.TableSymbol.$ctor7(name, `(${common}, ${columns})`, null)),
  ...Object.entries(workspace).map(([name, columns]) => new Symbols.TableSymbol.$ctor7(name, `(${columns})`, null)),
];
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('component', symbols));

let findings = 0;
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, 'utf8');
  const diagnostics = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  for (let i = 0; i < diagnostics.Count; i++) {
    const { Start, Code, Message } = diagnostics.getItem(i);
    const line = text.slice(0, Start).split('\n').length;
    process.stdout.write(`${JSON.stringify({ file, line, code: Code, message: Message })}\n`);
    findings++;
  }
}
process.exitCode = findings > 0 ? 1 : 0;
