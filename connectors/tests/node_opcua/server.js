// A server by another maker (node-opcua) for the tests beside it.
//
//   node server.js PORT PKI_FOLDER
//
// None, and Basic256Sha256 with Sign and SignAndEncrypt; any client certificate will do; user reader / secret1, and
// nobody. Namespace urn:test:plant: Double s=Count grows by one every 100 ms. Prints `up` once it can be asked.
"use strict";
const path = require("node:path");
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { DataType } = require("node-opcua-variant");

async function main() {
  const [port, pki] = process.argv.slice(2);
  const folder = async (name) => {
    const rootFolder = path.resolve(pki, name);
    const manager = new OPCUACertificateManager({ rootFolder, automaticallyAcceptUnknownCertificate: true });
    await manager.initialize();
    return manager;
  };
  const server = new OPCUAServer({
    port: Number(port),
    hostname: "127.0.0.1",
    resourcePath: "/plant",
    serverCertificateManager: await folder("server"),
    userCertificateManager: await folder("users"),
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    userManager: { isValidUser: (user, password) => user === "reader" && password === "secret1" },
    serverInfo: { applicationUri: "urn:test:server" },
  });
  await server.initialize();
  const { addressSpace } = server.engine;
  const namespace = addressSpace.registerNamespace("urn:test:plant");
  const count = namespace.addVariable({
    organizedBy: addressSpace.rootFolder.objects,
    browseName: "Count",
    nodeId: "s=Count",
    dataType: "Double",
    minimumSamplingInterval: 100,
  });
  let value = 0;
  const tick = () => count.setValueFromSource({ dataType: DataType.Double, value: (value += 1) });
  tick();
  setInterval(tick, 100);
  await server.start();
  console.log("up");
}

main().catch((problem) => {
  console.error(problem);
  process.exit(1);
});
